"""The photographs of the run of views and a companion together (``views.md``): stored, setting thresholds, measuring.

    python docs/benchmarks/kinds/write_union.py OUT [--gallery 400] [--measuring 524] [--stored 800] [--trained 1800]

OUT, which may not be there yet, gets ``gallery``: images of ``dev`` that neither looks of a companion nor views of a
query were chosen on; ``absent``, which measures, and the first part of ``dis``, which is stored: photographs that
nothing was trained on, nothing was chosen on, and no reference set holds; the second part of ``dis``: photographs that
`retr_s` was trained on, as many from every full shard, for there are no others; ``neg``: all that is left of the
photographs that nothing was trained on and no reference set holds, those that views and looks were chosen on among
them; and ``known.csv``: the known copies among all these, by the names that they have there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from photographs import folder, members, photographs

LISTED = Path(__file__).resolve().parents[1] / "known_copies.csv"
LOOKED_AT = 1300
"""So many of the half that measures, from the first on, looks were chosen on, or may have been."""
CHOSEN_ITEMS, CHOSEN_OTHERS = 400, 2300
"""Of a permutation of ``dev``, and of one of ``distractors``: views were chosen on these, or may have been."""


def places() -> tuple[list[Path], set[str]]:
    """Images of ``dev`` that nothing was chosen on; names of ``distractors`` that views may have been chosen on."""
    every = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    names = [name for name, _ in members(folder())]
    rng = np.random.default_rng(0)
    chosen = {every[place] for place in rng.permutation(len(every))[:CHOSEN_ITEMS]}
    others = {names[place] for place in rng.permutation(len(names))[:CHOSEN_OTHERS]}
    odd = [path for path in every if hashlib.sha256(path.read_bytes()).digest()[0] % 2]
    return [path for path in odd if path not in chosen], others


def trained(rng: np.random.Generator, count: int) -> Iterator[tuple[str, bytes]]:
    """(name, encoded bytes) of photographs of ``train``, about as many of each shard."""
    left, shards = count, sorted((folder().parent / "train").glob("*.tar"))
    for shard in shards:
        with tarfile.open(shard) as archive:
            found = [member for member in archive.getmembers() if member.name.endswith(".jpg")]
            each = min(len(found), 185)
            for place in rng.choice(len(found), each, replace=False)[:left]:
                stream = archive.extractfile(found[place])
                assert stream is not None, "every member is a file"
                yield f"train-{shard.stem}-{found[place].name}", stream.read()
            left -= min(each, left)


def write_known(out: Path) -> int:
    """The known copies of which both are here; how many pairs."""
    here = {path.name: path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    with LISTED.open(newline="") as source, (out / "known.csv").open("w", newline="") as target:
        rows, writer = csv.reader(source), csv.writer(target, lineterminator="\n")
        writer.writerow(next(rows))
        pairs = [(here.get(_own(image)), here.get(_own(copy_of)), *more) for image, copy_of, *more in rows]
        kept = [pair for pair in pairs if pair[0] and pair[1]]
        writer.writerows(kept)
    return len(kept)


def _own(name: str) -> str:
    """The name here: of the end of a path in the list."""
    *_, shard, own = name.split("/")
    return f"train-{Path(shard).stem}-{own}" if name.startswith("train/") else own


def main() -> None:
    """Write all of them and say how many each holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name, count in (("gallery", 400), ("measuring", 524), ("stored", 800), ("trained", 1800)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    items, others = places()
    spare = list(photographs(reference=False))
    rng = np.random.default_rng(19)
    for place in rng.choice(len(items), given.gallery, replace=False):
        kept = given.out / "gallery" / items[place].parent.name / items[place].name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(items[place].read_bytes())
    used = [place for place, (name, _) in enumerate(spare) if place < LOOKED_AT or name in others]
    clean = rng.permutation(np.setdiff1d(np.arange(len(spare)), used)).tolist()
    end = given.measuring + given.stored
    parts = {"absent": clean[: given.measuring], "dis": clean[given.measuring : end], "neg": [*used, *clean[end:]]}
    for part, chosen in parts.items():
        (given.out / part).mkdir()
        for place in chosen:
            (given.out / part / Path(spare[place][0]).name).write_bytes(spare[place][1])
    for name, encoded in trained(rng, given.trained):
        (given.out / "dis" / name).write_bytes(encoded)
    counts = {part: len(list((given.out / part).rglob("*.*"))) for part in ("gallery", *parts)}
    print(", ".join(f"{part} {count}" for part, count in counts.items()), f"known copies {write_known(given.out)}")


if __name__ == "__main__":
    main()
