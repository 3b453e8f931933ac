"""Families of edits whose members can all be covered by a proof (THEORY T12): one file per kind."""
