"""The two halves of ``distractors`` as shards: one that a reference set may hold, one that measures.

    python docs/benchmarks/kinds/write_halves.py OUT

OUT gets ``reference.tar`` and ``measuring.tar``, and ``known_copies.csv``: the list of known copies by the names that
the photographs have there. A picture of the reference set is no negative: every gap was measured to it.
"""

from __future__ import annotations

import argparse
import csv
import tarfile
from io import BytesIO
from pathlib import Path

from photographs import photographs

LISTED = Path(__file__).resolve().parents[1] / "known_copies.csv"
OURS = "distractors/"


def write(out: Path, *, reference: bool) -> list[str]:
    """Write one half; returns the names that it holds."""
    names = []
    with tarfile.open(out, "w") as shard:
        for name, encoded in photographs(reference=reference):
            member = tarfile.TarInfo(Path(name).name)
            member.size = len(encoded)
            shard.addfile(member, BytesIO(encoded))
            names.append(member.name)
    return names


def write_known(out: Path, shards: dict[str, str]) -> None:
    """The list, with the shard that each photograph lies in now."""
    with LISTED.open(newline="") as source, out.open("w", newline="") as target:
        rows = csv.reader(source)
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(next(rows))
        for image, copy_of, *more in rows:
            writer.writerow([_moved(image, shards), _moved(copy_of, shards), *more])


def _moved(name: str, shards: dict[str, str]) -> str:
    own = name.rsplit("/", 1)[-1]
    return f"{shards[own]}/{own}" if name.startswith(OURS) else name


def main() -> None:
    """Write all three and say how many photographs each half holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    shards: dict[str, str] = {}
    for shard, reference in (("reference.tar", True), ("measuring.tar", False)):
        names = write(out / shard, reference=reference)
        shards |= dict.fromkeys(names, shard)
        print(f"{shard}: {len(names)} photographs")
    write_known(out / "known_copies.csv", shards)


if __name__ == "__main__":
    main()
