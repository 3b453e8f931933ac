"""Two thousand attacked verdicts of pages, screens and photographs in one index, by the shares of gaps that it has.

Run as ``python docs/benchmarks/verdict_soundness.py OUT PHOTOGRAPHS [--each N] [--model NAME …]``. Half of the items
are drawn kinds, half photographs, all made small and square. Every item is a query, as it is and as JPEG; each proved
verdict is attacked by APGD in ℓ2 at five multiples of its own radius, and whatever an image inside of it changes is an
alarm. Prints alarms and certificates; the same folder goes on with a run that was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from retr.core.progress import Silent
from retr.evaluation.robustness.attack_eval import run_attack_eval
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.images.kinds import draw_kind
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

KINDS = ("page", "form", "receipt", "table", "slide", "web page", "app screen", "chat", "code", "desktop")
RADII = (0.5, 0.8, 0.9, 0.97, 0.995)
SIDE = 112


def make_corpus(folder: Path, photographs: Path, each: int) -> None:
    """``each`` pictures of each kind, and as many photographs as all of them."""
    folder.mkdir(parents=True)
    for kind in KINDS:
        for number in range(each):
            picture = Image.fromarray(draw_kind(kind, 9000 + number))
            picture = picture.resize((SIDE, SIDE))
            picture.save(folder / f"{kind.replace(' ', '-')}-{number}.png")
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for number, path in enumerate(files[:: max(1, len(files) // (len(KINDS) * each))][: len(KINDS) * each]):
        with Image.open(path) as image:
            small = image.convert("RGB")
            small = small.resize((SIDE, SIDE))
            small.save(folder / f"photograph-{number}.png")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--model", action="append", help="channels; the usual two by default")
    given = parser.parse_args()
    models = tuple(given.model) if given.model else None
    if not (given.out / "corpus").exists():
        make_corpus(given.out / "corpus", given.photographs, given.each)
        build_index(str(given.out / "corpus"), given.out / "index", IndexOptions(models=models, workers=2), Silent())
    engine = Engine.open(given.out / "index", device="cpu")
    plan = AuditPlan(
        sample=None,
        edits=("identity", "jpeg"),
        attacks=("apgd-l2",),
        goals=("verdict",),
        at_radius=RADII,
        steps=10,
        out=given.out / "audit",
        resume=(given.out / "audit").exists(),
    )
    result = run_attack_eval(engine, plan)
    records = FORMAT.read(result.records).table.to_pylist()
    held = sum(bool(record["within_verdict"]) for record in records)
    print(f"{result.summary.alarms} alarms in {held} attacked certificates of verdicts ({result.seconds:.0f} s)")


if __name__ == "__main__":
    main()
