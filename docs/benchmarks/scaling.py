"""What an index of many images takes, from measured constants: prints the tables of docs/scaling.md.

Usage: python docs/benchmarks/scaling.py [--NAME VALUE …]

Every constant below can be given anew, by its name, when it has been measured on other machines. Nothing is measured
here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace

SIZES = (10**7, 10**8, 10**9)


@dataclass(frozen=True)
class Constants:
    """Measured on one core, or known; a node is what is planned with.

    Attributes:
        images_per_core_s: decoded, resized and embedded by one core in a second.
        stored_s: images that the one writer stores in a second.
        scanned_per_core: bytes of codes that one core looks at in a second, for one query.
        bandwidth: bytes a second that all cores of a node read from memory together.
        embed_s: seconds to embed a query in float64 and to certify its answer, whatever the index holds.
        overhead_s: seconds that a query costs more where it is asked of shards.
        pairs_per_core_s: pairs of rows that one core compares in a second, for the gaps of local thresholds.
        row_bytes: of all channels of an image; code_bytes: of the codes that stand for them in memory.
        kept_bytes: beside the codes, by a holder; catalog_bytes: by who asks; disk_bytes: beside the rows, on disk.
        cores, memory: of a node.
    """

    images_per_core_s: float = 149.0
    stored_s: float = 3800.0
    scanned_per_core: float = 2.7e9
    bandwidth: float = 100e9
    embed_s: float = 0.033
    overhead_s: float = 0.075
    pairs_per_core_s: float = 6e6
    row_bytes: float = 4096.0
    code_bytes: float = 384.0
    kept_bytes: float = 120.0
    catalog_bytes: float = 80.0
    disk_bytes: float = 140.0
    cores: float = 32.0
    memory: float = 256e9


def nodes(images: float, own: Constants) -> int:
    """As many as hold the codes in four fifths of their memory."""
    return max(1, -(-int(images * (own.code_bytes + own.kept_bytes)) // int(0.8 * own.memory)))


def query_s(images: float, own: Constants) -> float:
    """One query, all nodes at once."""
    count = nodes(images, own)
    rate = min(own.scanned_per_core * own.cores, own.bandwidth) * count
    return own.embed_s + images * own.code_bytes / rate + (own.overhead_s if count > 1 else 0.0)


def index_s(images: float, own: Constants) -> float:
    """Making the rows by all nodes, or storing them by one writer, whichever is slower."""
    return images / min(own.images_per_core_s * own.cores * nodes(images, own), own.stored_s)


def gaps_s(images: float, own: Constants) -> float:
    """Comparing all pairs of rows once, on the cores of the one node that writes."""
    return 0.5 * images * images / (own.pairs_per_core_s * own.cores)


def told(seconds: float) -> str:
    """In words."""
    for unit, size in (("years", 31_557_600.0), ("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1000.0 * seconds:.3g} ms"


def size(number: float) -> str:
    """Bytes in words."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= one:
            return f"{number / one:.3g} {unit}"
    return f"{number:.0f} bytes"


def table(own: Constants) -> str:
    """The plan in Markdown."""
    lines = ["| images | rows on disk | in the memory of holders | of who asks | nodes | index | gaps | one query |"]
    lines.append("|---|" + "---|" * 7)
    for images in SIZES:
        cells = [
            f"10^{len(str(images)) - 1}",
            size(images * (own.row_bytes + own.disk_bytes)),
            size(images * (own.code_bytes + own.kept_bytes)),
            size(images * own.catalog_bytes),
            str(nodes(images, own)),
            told(index_s(images, own)),
            told(gaps_s(images, own)),
            told(query_s(images, own)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Constants):
        parser.add_argument(f"--{field.name}", type=float, default=field.default)
    own = Constants(**vars(parser.parse_args()))
    for title, row_bytes, code_bytes in (
        ("both channels", own.row_bytes, own.code_bytes),
        ("`retr_s` alone", 1024.0, 128.0),
        ("16 numbers", 64.0, 64.0),
    ):
        planned = replace(own, row_bytes=row_bytes, code_bytes=code_bytes)
        print(f"{title}: {row_bytes:.0f} bytes an image, {code_bytes:.0f} of codes\n\n{table(planned)}\n")


if __name__ == "__main__":
    main()
