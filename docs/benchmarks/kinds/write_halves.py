"""The two halves of ``distractors`` as shards: one that a reference set may hold, one that measures.

    python docs/benchmarks/kinds/write_halves.py OUT

OUT gets ``reference.tar`` and ``measuring.tar``. A picture of the reference set is no negative: every gap was measured
to it.
"""

from __future__ import annotations

import argparse
import tarfile
from io import BytesIO
from pathlib import Path

from photographs import photographs


def write(out: Path, *, reference: bool) -> int:
    """Write one half; returns how many photographs it holds."""
    count = 0
    with tarfile.open(out, "w") as shard:
        for name, encoded in photographs(reference=reference):
            member = tarfile.TarInfo(Path(name).name)
            member.size = len(encoded)
            shard.addfile(member, BytesIO(encoded))
            count += 1
    return count


def main() -> None:
    """Write both and say how many each holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, reference in (("reference", True), ("measuring", False)):
        print(f"{name}.tar: {write(out / f'{name}.tar', reference=reference)} photographs")


if __name__ == "__main__":
    main()
