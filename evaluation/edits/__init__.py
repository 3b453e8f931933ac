"""Proved ranges of edits under attack: members of all kinds, with the strongest change on top that is allowed."""
