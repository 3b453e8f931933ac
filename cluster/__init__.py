"""Several machines, arranged by Ray: shards of an index as a source, and partitions of a corpus for the indexer."""
