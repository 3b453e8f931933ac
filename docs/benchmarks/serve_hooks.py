"""What schemathesis takes for files: the pictures of the folder ``RETR_FUZZ_FILES`` (serve.py), or any bytes."""

from __future__ import annotations

import os
from pathlib import Path

import schemathesis  # type: ignore[import-not-found]
from hypothesis import strategies as st

FILES = [path.read_bytes() for path in sorted(Path(os.environ["RETR_FUZZ_FILES"]).iterdir())]
schemathesis.openapi.format("binary", st.one_of(st.sampled_from(FILES), st.binary(max_size=200)))
