"""A radius in words: in its three units, each rounded so that it never says more than is proved (core.rounded)."""

from __future__ import annotations

from ..core.rounded import psnr_text, radius_text
from ..core.units import Radius


def radius_lines(radius: Radius) -> str:
    """Three lines for a cell of a table, RMSE first: it does not depend on the resolution."""
    psnr = "no change" if radius.psnr is None else f"{psnr_text(radius.psnr)} dB"
    return f"{radius_text(radius.rmse, decimals=2)} RMSE\n{radius_text(radius.l2)} ℓ2\n{psnr}"


def radius_inline(radius: Radius) -> str:
    """The same within a sentence."""
    psnr = "" if radius.psnr is None else f", PSNR ≥ {psnr_text(radius.psnr)} dB"
    return f"RMSE {radius_text(radius.rmse, decimals=2)}/255 (ℓ2 {radius_text(radius.l2)}{psnr})"
