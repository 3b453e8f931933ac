"""Small faults, one token each, and whether the tests notice them: ``make mutants``."""
