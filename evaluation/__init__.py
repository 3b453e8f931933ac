"""Audits: they run queries and attacks and write records."""
