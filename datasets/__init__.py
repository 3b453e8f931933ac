"""Data sets on disk, one loader per file, told by header and stem; tests and recipes read them from here alone."""
