"""``retr attack-eval``: attack queries, and hold every certificate against what was found."""
