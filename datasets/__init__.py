"""Data sets on disk, told by header and stem: one loader per file."""
