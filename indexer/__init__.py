"""Corpus readers, the indexing pipeline, segments, the catalog and snapshots."""
