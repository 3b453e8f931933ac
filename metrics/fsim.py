"""Feature similarity with colour, by the package ``piq`` (Zhang, Zhang, Mou & Zhang 2011)."""

from __future__ import annotations

from torch import Tensor

from .contract import Facts, Metric
from .packages import package

FACTS = Facts(
    name="fsimc",
    title="FSIMc",
    source=(
        "Zhang, Zhang, Mou & Zhang 2011; 1 − FSIMc as piq computes it: images are first averaged down so that "
        "their shorter side is about 256 px, as in the authors' script; nothing is averaged under 384 px"
    ),
    highest=1.0,
    smallest_side=16,
    licence="Apache-2.0 (piq)",
    weights="none",
)


def load_fsimc() -> Metric:
    """The metric ``fsimc``.

    Raises:
        ModelError: where piq is absent.
    """
    piq = package("piq", extra="metrics", wanted_by=FACTS.name)

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        # piq refuses pixels that rounding has put a hair outside [0, 1].
        return 1 - piq.fsim(ref.clamp(0, 1), img.clamp(0, 1), reduction="none", data_range=1.0, chromatic=True)

    return Metric(FACTS, measure)
