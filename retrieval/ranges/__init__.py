"""Edits with proof: one claim for every member of a family of edits, with any change on top (THEORY T12)."""
