"""The figure of the README: how much of each family of edits is proved of a drawn picture.

python docs/examples/draw_corpus.py .
retr index ./corpus
python docs/examples/draw_edits.py retr-index img.png docs/images/edits.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import retr
from retr.reports.ranges_bars import bars

FAMILIES = (
    "jpeg:10..95",
    "brightness:0.25..4",
    "contrast:0.25..4",
    "gamma:0.25..4",
    "saturation:0..4",
    "fade-white:0..1",
)
STYLE = (
    "<style>text{font:11px sans-serif;fill:#5d666f}.track{fill:#e6e8e3}.proved{fill:#0e7c6b}</style>"
    '<rect width="100%" height="100%" fill="#ffffff"/>'
)


def main(index: str, image: str, out: str) -> None:
    """Ask, and draw the bars."""
    answer = retr.open(index).query(image, against=FAMILIES, eps=1.0)
    assert answer.against is not None
    head, body = str(bars(answer.against)).split(">", 1)
    Path(out).write_text(f"{head}>{STYLE}{body}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
