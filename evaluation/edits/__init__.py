"""Edits with proof in audits: what is proved of each query, recorded and counted, and attacked."""
