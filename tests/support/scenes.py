"""Drawn pictures with the spectrum of photographs; importable by every test (see pyproject, pythonpath)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def scene(seed: int, size: tuple[int, int], *, contrast: float = 45.0) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8: noise whose amplitude falls as 1/f, the same in all colours but for a tint.

    Args:
        seed: which one.
        size: (H, W).
        contrast: standard deviation in levels, around the middle grey; what leaves 0 to 255 is cut.
    """
    rng = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    frequencies[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(size)) / frequencies
    field = np.fft.irfft2(spectrum, s=size)
    field *= contrast / field.std()
    tint = rng.uniform(0.8, 1.2, 3)
    return np.rint(np.clip(127.5 + field[:, :, None] * tint, 0, 255)).astype(np.uint8)
