"""From an answer to what is proved of every edited version of its query."""

from __future__ import annotations

import numpy as np

from ..answer import Answer
from ..engine import Engine
from .claim import PARTS, Claim


def claim_of(engine: Engine, answer: Answer) -> Claim:
    """What an answer gives to prove.

    Args:
        engine: that gave it.
        answer: certified, to the query as it is; its budget does not matter.
    """
    if answer.certificate is None or not answer.matches:
        why = answer.withheld or "nothing is in the index"
        return Claim(None, None, None, None, None, dict.fromkeys(PARTS, why))
    top = answer.matches[0]
    accepting = [match for match in answer.matches if match.accepted]
    named = accepting[0] if answer.point_verdict == "copy" and accepting else top
    withheld = {}
    if answer.point_verdict is None:
        withheld["verdict"] = answer.verdict_because or "no threshold"
    elif answer.point_verdict == "copy" and not accepting:
        withheld["verdict"] = f"the item that accepts is not among the first {answer.k}; ask for more (k)"
    verdict = None if withheld else answer.point_verdict
    assert verdict in (None, "copy", "not-a-copy"), verdict
    return Claim(
        verdict,  # type: ignore[arg-type]
        _key(engine, named.group) if verdict == "copy" else None,
        _key(engine, top.group),
        named.id,
        named.path,
        withheld,
    )


def _key(engine: Engine, group: int) -> bytes:
    return bytes(engine.gallery.table.keys(np.array([group]))[0])
