"""Write the reference set of ``efficientnet-lite0``: photographs that nothing was trained on, and made kinds.

    python docs/benchmarks/kinds/write_companion_reference.py [--photographs 1500] [--made 924]

As ``write_reference.py`` does for certified models, at a smaller size. The share is that within which its rows accept.
"""

from __future__ import annotations

import argparse
from itertools import islice

import numpy as np
from embed_rows import embed
from photographs import decoded, photographs
from write_reference import OPEN_KINDS, _apart, _rounded

from retr.embedding.lite0 import load_lite0
from retr.embedding.places import weights_folder
from retr.images.kinds import made_kinds
from retr.indexer.neighbours import measure_near
from retr.indexer.reference import SUFFIX, Reference, encode, write_reference
from retr.indexer.row_codes import decode

SHARE, CERTAIN, LIKE = 0.75, 0.4, 0.99


def main() -> None:
    """Embed and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=1500)
    parser.add_argument("--made", type=int, default=924)
    given = parser.parse_args()
    model = load_lite0()
    photos = (decoded(encoded) for _, encoded in islice(photographs(reference=True), given.photographs))
    [shown] = embed(photos, [model])
    drawn = list(made_kinds(given.made))
    [made] = embed((pixels for _, pixels in drawn), [model])
    kinds = np.array(["photograph"] * len(shown) + [kind for kind, _ in drawn])
    rows = np.concatenate([shown, made])
    good = np.flatnonzero(np.isfinite(rows).all(axis=1))
    chosen = _apart(rows, good)
    names = ["photograph", *sorted(set(kinds[chosen].tolist()) - {"photograph"})]
    codes = encode(rows[chosen], "cosine")
    near = measure_near(decode(codes, "int8", where=model.name), "cosine")
    gaps = near[kinds[chosen] == "photograph"]
    reference = Reference(
        model=model.name,
        model_digest=model.digest,
        score="cosine",
        codes=codes,
        kind=np.array([names.index(kind) for kind in kinds[chosen].tolist()], dtype=np.uint8),
        near=near,
        kinds=tuple(names),
        share=SHARE,
        certain=CERTAIN,
        typical=_rounded(np.median(gaps)),
        farthest=_rounded(np.quantile(gaps, LIKE)),
        open=OPEN_KINDS,
        discerns=False,
        notes={
            "counts": {name: int((kinds[chosen] == name).sum()) for name in names},
            "made_by": "docs/benchmarks/kinds/write_companion_reference.py",
            "card": "docs/models/efficientnet-lite0.md",
        },
    )
    path = weights_folder() / f"{model.name}{SUFFIX}"
    digest = write_reference(path, reference)
    print(f"{path.name}: {len(chosen)} vectors, {path.stat().st_size / 2**20:.2f} MiB, SHA-256 {digest}")
    print(f"typical gap {reference.typical}, farthest {reference.farthest}")


if __name__ == "__main__":
    main()
