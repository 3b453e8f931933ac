"""A fault in the certificate of a perceptual hash."""

from __future__ import annotations

import numpy as np
from certified_hash import Bits, CertifiedHash, sum_of_max
from planted import draw_pictures, press


def max_of_sums(low: Bits, high: Bits, code: Bits) -> int:
    """All bits at one end or all at the other: max(Σ|l_i − e_i|, Σ|u_i − e_i|). Bits that fall and bits that rise are
    never counted together."""
    return int(max(np.abs(low - code).sum(), np.abs(high - code).sum()))


def test_max_of_sums_for_a_sum_of_max(planted, caught, tmp_path):
    """A copy may differ in one bit. Where the two weakest bits are a 0 and a 1, the fault counts one of them."""
    pictures = draw_pictures(12, side=20)
    system = CertifiedHash(pictures, threshold=1, worst=max_of_sums if planted else sum_of_max)
    caught(press(system, pictures, tmp_path / "images", goal="verdict", share=0.9), by=("verdict",))
