"""Results of audits and runs, made up, for whatever prints them: the numbers are parameters where they matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from retr.certificates.proof import Certificate
from retr.core.statistics import wilson
from retr.core.types import UpperBound
from retr.core.units import Radius
from retr.datasets.labelled import LabelledImage
from retr.evaluation.copies.summary import CopySummary, FamilyLine, NegativeLine, Scores, SystemLine
from retr.evaluation.knn.bench import KnnResult
from retr.evaluation.knn.label_retrieval import Retrieved
from retr.evaluation.knn.plan import KnnPlan
from retr.evaluation.knn.records import FORMAT
from retr.evaluation.knn.rows import clean_row, fallen_row
from retr.evaluation.shared.provenance import describe_run
from retr.evaluation.shared.records import Records
from retr.retrieval.answer import Answer, Match

LIPSCHITZ, SLACK, UPPER95 = 1.00000000004, 1.2345e-10, 0.00312


def answer(
    l2: float = 12.5,
    eps: Radius | None = None,
    *,
    path: str = "/c/[bold]1.png",
    values: int = 24_000,
    **changes: Any,
) -> Answer:
    """A certified answer with two matches; every radius is ``l2`` or a fraction of it."""
    whole = Radius(l2, values)
    first = Match(
        1, 1, "id1", path, "original", 0.91234, 0.1, "block-means", top1=whole, topk=Radius(l2 / 3, values), copy=whole
    )
    second = Match(2, 2, "id2", "/c/2.png", "mirror", 0.3, 1.1, "block-means", topk=Radius(0.0, values))
    given: dict[str, Any] = {
        "width": 100,
        "height": 80,
        "model": "block-means",
        "snapshot": "s1",
        "verdict": "copy",
        "point_verdict": "copy",
        "k": 2,
        "matches": (first, second),
        "eps": eps or Radius(1.0, values),
        "copy": whole,
        "certificate": Certificate(
            20, 20, UpperBound(LIPSCHITZ, "product"), UpperBound(0.25, "exact norm"), SLACK, limited_by="id2"
        ),
        "thresholds": (
            {
                "channel": "block-means",
                "value": 0.91236,
                "source": "calibrated",
                "upper95": UPPER95,
            },
        ),
    }
    return Answer(**(given | changes))


class Copies:
    """A finished copy benchmark of a certified system and of a hash."""

    run, seconds = "20261121-044743-7d4f", {"index": 12.3, "queries": 45.6}
    path, index = Path("retr-copies/records.parquet"), Path("retr-copies/index")
    edits = None

    def __init__(self, share: float = 0.87654, epsilons: tuple[float, ...] = (0.5, 1.0, 3.0)) -> None:
        proved = tuple(share / (place + 2) for place in range(len(epsilons)))
        scores = Scores(share, proved, 0.75, share / 2, tuple(one / 2 for one in proved))
        hashed = Scores(0.5, (0.0,) * len(epsilons), 0.25, 0.125, (0.0,) * len(epsilons))
        stored = {"items": 1000, "rows": 2000, "bytes_per_item": 1536.4}
        families = ("none", False), ("rotated", True)
        negatives = NegativeLine(1000, 3, wilson(0.003, 1000), 0.997, proved)
        self.summary = CopySummary(
            self.run,
            {"views": "mirror", "fpr": 0.004},
            epsilons,
            tuple(
                SystemLine(
                    system=name,
                    certified=certified,
                    families=tuple(FamilyLine(family, moves, 100, own) for family, moves in families),
                    mean=own,
                    worst=own,
                    interval=wilson(own.recall, 200),
                    worst_families=("rotated", "none"),
                    negatives=negatives,
                    stored=stored,
                    seconds=0.0123,
                    checked=200,
                    refuted=0,
                )
                for name, certified, own in (("retr_s", True, scores), ("phash", False, hashed))
            ),
            {"truncated": 2, "zero-byte": 5},
            {"used": 1000},
        )


def knn(
    radius: float = 1.25, rmse: tuple[float, ...] = (0.5, 1.0), *, queries: int = 7, model: str = "retr_s"
) -> KnnResult:
    """A finished k-NN benchmark; every third query is voted wrong, and every other one has this radius."""
    plan = KnnPlan(Path("gallery"), rmse=rmse, attack=True, k=3)
    told = describe_run(
        {"model": model, "model_digest": "d" * 64, "snapshot": "", "policy_digest": "e" * 64},
        run="r1", command="retr bench-knn", seed=0,
    ).columns()  # fmt: skip
    rows = []
    for place in range(queries):
        image = LabelledImage(f"q/{place}.png", Path(f"q/{place}.png"), "cat")
        vote, found = ("dog" if place % 3 == 2 else "cat", 2, radius), Retrieved(True, True, 0.75, radius, radius)
        clean = clean_row(told, image, (100, 100, 3), vote, found)
        reached = {"success": place == 0, "fallen_at": 0.5 if place == 0 else None}
        tried = [fallen_row({**clean, "goal": "vote", "attack": "apgd-l2", "norm": "l2"}, one) for one in plan.budgets]
        rows += [clean, *({**row, **reached} for row in tried)]
    facts = {
        "model": {"name": model, "digest": "d" * 64, "uncertified_because": None, "gallery": {"cat": 5, "dog": 5}},
        "rejected": [], "seconds": {"gallery": 1.0, "queries": 1.0},
    }  # fmt: skip
    return KnnResult(plan, Path("records.parquet"), Records(FORMAT.table(rows), facts))


def changed(result: KnnResult, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> KnnResult:
    """The same benchmark with other values in its records."""
    rows = [{**row, **change(row)} for row in result.records.table.to_pylist()]
    return replace(result, records=Records(FORMAT.table(rows), result.records.facts))


INDEX_RUN: dict[str, Any] = {
    "index": "ix", "snapshot": "0001", "indexed": 12, "skipped": 3, "rejected": 2, "seen": 17, "recovered": 1,
    "replaced": 1, "pruned": 2, "items": 14, "rows": 28, "wall_s": 3.21, "seconds": {"decode": 1.0, "embed": 2.0},
    "reasons": {"truncated": 1, "zero-byte": 1},
}  # fmt: skip


def index_info(**threshold: Any) -> dict[str, Any]:
    """What ``retr index info`` says of an index of one channel."""
    given = {"value": 0.91236, "source": "calibrated", "samples": 100, "fpr": 0.004, "upper95": UPPER95, "stale": False}
    channel = {
        "name": "retr_s", "certified": True, "lipschitz": LIPSCHITZ, "dim": 256, "score": "cosine", "rows": 28,
        "threshold": given | threshold, "channel": "retr_s",
    }  # fmt: skip
    return {
        "index": "ix", "snapshot": "0001", "created": "2026-11-21", "items": 14, "files": 15, "rows": 28,
        "tombstones": 0, "rejects": 2, "presumed_copies": 0, "crowded": 0, "views": "mirror", "rules": [],
        "bytes_per_item": 1536, "verified": True,
        "policy_digest": "e" * 64, "channels": [channel],
    }  # fmt: skip


def calibration() -> dict[str, Any]:
    """How a calibration ended."""
    threshold = index_info()["channels"][0]["threshold"]
    return {
        "snapshot": "0002", "negatives": 100, "refused": 2, "present": ["a[b].png"],
        "thresholds": [{**threshold, "channel": "retr_s"}],
    }  # fmt: skip


REJECTS = [{"path": "c/[x].png", "stage": "decode", "error": "truncated", "detail": "ends early", "bytes": 12345}]

MODEL: dict[str, Any] = {
    "name": "retr_s", "spec": "retr_s", "input_size": [64, 64], "dim": 256, "score": "cosine", "digest": "d" * 64,
    "lipschitz": {"value": LIPSCHITZ, "slack": LIPSCHITZ - 1, "method": "product"}, "uncertified_because": None,
    "layers": [
        {"name": "0", "kind": "conv", "value": 1.0, "slack": 0.0, "method": "isometry"},
        {"name": "1", "kind": "conv", "value": LIPSCHITZ, "slack": LIPSCHITZ - 1, "method": "Gram [iterate]"},
    ],
    "rounding": {"float64": 1.23456e-12, "float32": None}, "card": {"purpose": "copies", "seed": 3},
}  # fmt: skip
MODELS = [
    {"name": "retr_s", "certified": True, "needs": "nothing", "input_size": [64, 64], "dim": 256, "score": "cosine"},
    {"name": "timm:NAME", "certified": False, "needs": "timm", "input_size": None, "dim": None, "score": None},
]
METRICS = [
    {"form": "l2", "runs": True, "differentiable": True, "lowest": 0.0, "highest": None, "input_size": None,
     "smallest_side": 1, "needs": None},
    {"form": "command:PROGRAM[:x]", "runs": False, "differentiable": False, "lowest": None, "highest": 1.0,
     "input_size": [64, 64], "smallest_side": 64, "needs": "a program"},
]  # fmt: skip
DATA = [{"name": "bapps", "task": "2afc", "title": "Berkeley [patches]", "splits": ["train", "val"]}]
TRAINING: dict[str, Any] = {
    "folder": "runs/1", "steps": 10, "total": 20, "stopped": "minutes", "views": 640, "images_per_second": 123.4,
    "seconds": 65.4, "skipped": 1, "rejected": 2, "metrics": {"loss": 0.123456789, "recall": None}, "best": 0.98765432,
    "models": ["a.safetensors"],
}  # fmt: skip
