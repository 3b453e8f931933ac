"""The records of ``retr query``: one for each input, the failed ones too; and their rows in CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..certificates.proof import Certificate
from ..core.errors import ImageRejected, UsageError
from ..core.types import UpperBound
from ..core.units import Radius
from ..retrieval.answer import Answer, Bank, Companion, Match
from .emit import Columns, flatten

SCHEMA = "retr.query/2"


def answer_record(answer: Answer, query: str) -> dict[str, Any]:
    """The record of an answered query.

    Args:
        answer: from the engine.
        query: the name that it came under.
    """
    said = answer.as_json(query)
    return {"schema": SCHEMA, "query": said["query"], "error": None, "detail": None} | said | {"schema": SCHEMA}


def failed_record(why: ImageRejected, query: str, *, model: str, snapshot: str, k: int) -> dict[str, Any]:
    """The record of an input that has no answer: the same keys, with ``error`` and ``detail``, and nothing else known.

    Args:
        why: its reason (a short stable name) is the error, its detail a sentence.
        query: the name that it came under.
        model: that was asked.
        snapshot: that was asked.
        k: how many matches were asked for.
    """
    blank = answer_record(Answer(0, 0, model, snapshot, "undecided", None, k, ()), query)
    known = {key: value for key, value in blank.items() if key in ("schema", "query", "model", "snapshot", "k")}
    return {key: _nothing(value) for key, value in blank.items()} | known | {"error": why.reason, "detail": why.detail}


def answer_of_record(record: Mapping[str, Any]) -> Answer:
    """The answer that a record was made of; what was proved of edits is not in it.

    Args:
        record: of :func:`answer_record`, from a service.

    Raises:
        UsageError: it is no such record.
    """
    try:
        values = 3 * int(record["width"]) * int(record["height"])
        matches = tuple(_match(one, values) for one in record["matches"])
        radii: dict[str, Any] = {name: _as_radius(record[name], values) for name in ("eps", "copy", "not_a_copy")}
        plain = ("width", "height", "model", "snapshot", "verdict", "point_verdict", "k", "verdict_because", "withheld")
        return Answer(
            **{name: record[name] for name in plain},
            **radii,
            matches=matches,
            thresholds=tuple(record["thresholds"]),
            certificate=None if record["certificate"] is None else _certificate(record["certificate"]),
            where=tuple(record["where"]),
            banks=tuple(_bank(one, values) for one in record["banks"]),
            companion=_companion(record.get("companion")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is no record of {SCHEMA}: {type(error).__name__}: {error}") from error


def _match(said: Mapping[str, Any], values: int) -> Match:
    radii: dict[str, Any] = {name: _as_radius(said[name], values) for name in ("top1", "topk", "copy")}
    plain = ("rank", "id", "path", "view", "score", "distance", "channel", "accepted", "query_view")
    explained = _Told(said["explained"]) if "explained" in said else None
    known = {name: said[name] for name in plain}
    known["query_view"] = said.get("query_view", "original")  # earlier versions knew no other
    known["tier"] = said.get("tier")
    return Match(**known, **radii, group=-1, duplicates=tuple(said["duplicates"]), explained=explained)


def _companion(said: Mapping[str, Any] | None) -> Companion | None:
    if said is None:
        return None
    plain = {name: said[name] for name in ("answered", "because", "names_copy", "finds")}
    return Companion(channels=tuple(said["channels"]), **plain)


def _bank(said: Mapping[str, Any], values: int) -> Bank:
    plain = {name: said[name] for name in ("where", "rows", "silences", "id", "path")}
    return Bank(**plain, radius=_as_radius(said["radius"], values))


@dataclass(frozen=True, slots=True)
class _Told:
    said: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return self.said


def _as_radius(said: Mapping[str, Any] | None, values: int) -> Radius | None:
    return None if said is None else Radius(float(said["l2"]), values)


def _certificate(said: Mapping[str, Any]) -> Certificate:
    bounds = {name: UpperBound(float(said["lipschitz"][name]), said["methods"][name]) for name in ("network", "resize")}
    plain = ("exact", "rows_scanned", "rows_total", "slack", "limited_by")
    return Certificate(**bounds, **{name: said[name] for name in plain})


def _nothing(value: object) -> object:
    return [] if isinstance(value, list) else {} if isinstance(value, dict) else None


def _radius(name: str) -> dict[str, type]:
    return {f"{name}.{unit}": float for unit in ("l2", "rmse", "psnr")}


def _texts(*names: str) -> dict[str, type]:
    return dict.fromkeys(names, str)


COLUMNS: Columns = {
    **_texts("schema", "query", "error", "detail"),
    "width": int,
    "height": int,
    **_texts("model", "snapshot", "verdict", "point_verdict", "verdict_because"),
    **_radius("eps"),
    **_radius("copy"),
    **_radius("not_a_copy"),
    "k": int,
    **_texts("where", "silenced_by"),
    "match.rank": int,
    **_texts("match.id", "match.path", "match.view", "match.query_view"),
    "match.score": float,
    "match.distance": float,
    "match.channel": str,
    **_radius("match.top1"),
    **_radius("match.topk"),
    **_radius("match.copy"),
    "match.accepted": bool,
    "match.tier": str,
    "match.proved": bool,
    "match.duplicates": str,
    **_texts("match.explained.channel", "match.explained.view", "match.explained.query_view"),
    **{f"match.explained.{name}": float for name in ("distance", "gap", "within", "part", "reference")},
    "match.explained.unit": str,
    "match.explained.crowded": bool,
    **_texts(*(f"match.explained.neighbour.{name}" for name in ("kind", "id", "path"))),
    **dict.fromkeys(("threshold.value", "threshold.offset", "threshold.share"), float),
    "threshold.source": str,
    "threshold.fpr": float,
    "threshold.samples": int,
    "threshold.upper95": float,
    "threshold.stale": bool,
    "certificate.exact": bool,
    **dict.fromkeys(("certificate.rows_scanned", "certificate.rows_total"), int),
    **{f"certificate.lipschitz.{part}": float for part in ("network", "resize", "total")},
    **_texts("certificate.methods.network", "certificate.methods.resize"),
    "certificate.slack": float,
    **_texts("certificate.limited_by", "withheld", "companion"),
    **_texts("against.whole", "against.partly"),
    **dict.fromkeys(("seconds.embed", "seconds.search"), float),
}
"""Columns of CSV and Parquet, the same whatever was asked and found."""


def query_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A record as rows of scalars: one for each match, or one with empty match columns where there is none.

    Args:
        record: of :func:`answer_record` or :func:`failed_record`.

    Yields:
        Values by names of :data:`COLUMNS`; ``threshold`` is the one of the channel that decides for the match.
    """
    common = {key: value for key, value in record.items() if key not in ("matches", "thresholds", "against", "banks")}
    common["against"] = _families(record["against"])
    common["companion"] = None if record.get("companion") is None else record["companion"]["words"]
    thresholds = {threshold["channel"]: threshold for threshold in record["thresholds"]}
    for match in record["matches"] or [None]:
        threshold = dict(thresholds.get(match["channel"], {})) if match else {}
        for known in ("channel", "role"):  # as of the match
            threshold.pop(known, None)
        flat = flatten(common | {"match": match or {}, "threshold": threshold})
        # A radius that is not there is None where it would be an object: there is no column of that name.
        yield {name: value for name, value in flat.items() if name in COLUMNS or value is not None}


def _families(against: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Families of edits in two words lists: the verdict is proved of all of one, or of a part; whole in JSON alone."""
    found = [] if against is None else against["families"]
    whole = [family["asked"] for family in found if family["verdict"]["whole"]]
    partly = [family["asked"] for family in found if family["asked"] not in whole and family["verdict"]["share"] > 0]
    return {"whole": " ".join(whole) if found else None, "partly": " ".join(partly) if found else None}
