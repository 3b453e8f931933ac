"""A coverage-guided search for image files that the decoder mistreats: ``make fuzz``. Needs the extra ``fuzz``.

    python -m fuzz_coverage --seconds 60

Begins from the seeds of ``mutate_images`` and keeps what reaches new code of ``retr.images``. All but an image or a
reject with a name ends the run with that file: an exception, a crash of a decoder, ten seconds, or 1.5 GiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mutate_images import seeds

atheris: Any = import_module("atheris")  # without types, and only there with the extra

with atheris.instrument_imports(include=["retr.images"]):
    from retr.core.errors import ImageRejected
    from retr.images.decode import decode
    from retr.images.policy import DecodePolicy

_POLICY = DecodePolicy(max_pixels=4_000_000)


def one(data: bytes) -> None:
    """Decode one file."""
    with suppress(ImageRejected):
        decode(data, policy=_POLICY)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="retr-fuzz-"))
    for name, data in seeds().items():
        (folder / name).write_bytes(data)
    limits = [f"-max_total_time={chosen.seconds}", "-rss_limit_mb=1536", "-timeout=10", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
