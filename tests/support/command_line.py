"""A command that ran, and what a failed one must look like."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How one command ended."""

    code: int
    out: bytes
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def only(self):
        """The one record of an array."""
        [record] = self.json
        return record

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def rows(self) -> list[dict[str, str]]:
        """Standard output as CSV."""
        return list(csv.DictReader(io.StringIO(self.out.decode())))


def one_line(outcome: Outcome, code: int) -> str:
    """The error of a failed command: nothing on standard output, one sentence on standard error."""
    assert (outcome.code, outcome.out) == (code, b"")
    assert outcome.err.startswith("retr: ")
    assert len(outcome.err.splitlines()) == 1
    assert "Traceback" not in outcome.err
    return outcome.err
