"""Decode policy, the resize as a linear operator with its norm, view sets and benign edits."""
