"""Makes the filter of rows (``row_filter``): which directions, which scales, and every bound from the difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .row_filter import LOST, PEAK, REST, ROUNDING, Float32, Float64, Int8, RowFilter

WIDTHS = (64, 128, 256)
"""Bytes a row that are tried; the first that leaves little is taken."""
LITTLE = 0.012
"""Mean ‖r‖² that a width may leave of unit rows: about what quantisation costs."""
SAMPLE = 8192
_CHUNK = 1024
_CLIPPED = 1e-4


def make_filter(rows: Float32, read: Callable[[slice], Float32] | None = None) -> RowFilter:
    """The filter of rows.

    Args:
        rows: (n, d) float32, n > 0, of length about 1.
        read: gives some of them: all of them once, in order; None for what ``rows`` gives.
    """
    sample = rows[:: max(1, len(rows) // SAMPLE)].astype(np.float64)
    sample = sample[np.isfinite(sample).all(axis=1)]
    centre, turn, width = _directions(sample, rows.shape[1])
    coordinates = sample @ turn.T  # of what lies beside the centre
    del sample
    scale = float(np.quantile(np.abs(coordinates, out=coordinates), 1.0 - _CLIPPED)) / PEAK or 1.0
    codes = np.zeros((len(rows), width), dtype=np.int8)
    rest, lost = np.zeros(len(rows)), np.zeros(len(rows))
    longest = 0.0
    for start in range(0, len(rows), _CHUNK):
        some = slice(start, min(start + _CHUNK, len(rows)))
        chunk = rows[some] if read is None else read(some)
        whole, rest[some], lost[some] = _taken_apart(chunk.astype(np.float64), centre, turn, scale)
        codes[some, : len(turn)] = whole
        longest = max(longest, float(np.sqrt(np.square(scale * whole).sum(axis=1)).max()))
    always = np.flatnonzero(~np.isfinite(rest) | ~np.isfinite(lost))
    steps = []
    for values, first, places in ((rest, len(turn), REST), (lost, len(turn) + REST, LOST)):
        step = float(values[np.isfinite(values)].max(initial=0.0)) / PEAK * (1.0 + 1e-9) + ROUNDING
        codes[:, first : first + places] = _ceilings(values, step)[:, None]
        steps.append(step)
    longest, spread = longest * (1.0 + 1e-9) + ROUNDING, _operator_norm(turn)
    return RowFilter(turn, centre, scale, steps[0], steps[1], longest, spread, codes, always)


def _directions(sample: Float64, dim: int) -> tuple[Float64, Float64, int]:
    """μ, P and bytes a row. P spans principal directions, turned so that all coordinates are of one size.

    μ is taken off the sample, in place: there is no second one.
    """
    centre = sample.mean(axis=0) if len(sample) else np.zeros(dim)
    sample -= centre
    energies, axes = np.linalg.eigh(sample.T @ sample / max(1, len(sample)))
    energies, axes = np.maximum(energies[::-1], 0.0), axes[:, ::-1]
    most = [(width, min(width - REST - LOST, dim)) for width in WIDTHS]
    width, m = next((one for one in most if energies[one[1] :].sum() <= LITTLE), most[-1])
    mixed, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((m, m)))
    return centre, np.ascontiguousarray(mixed @ axes[:, :m].T), width


def _taken_apart(chunk: Float64, centre: Float64, turn: Float64, scale: float) -> tuple[Int8, Float64, Float64]:
    """k, and upper bounds on ‖r‖ and ‖Pr‖; NaN where a row is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.rint((chunk - centre) @ turn.T / scale)
        whole = np.clip(np.nan_to_num(found), -PEAK, PEAK)
        left = chunk - centre - (scale * whole) @ turn
        return whole.astype(np.int8), _longer(left), _longer(left @ turn.T)


def _longer(parts: Float64) -> Float64:
    """(n,) upper bounds on norms, and on what rounding made of the vectors."""
    return np.sqrt(np.square(parts).sum(axis=1)) * (1.0 + 1e-12) + ROUNDING


def _ceilings(values: Float64, step: float) -> Int8:
    """(n,) integers of 8 bits that are no less than value/step; the largest where there is no value."""
    return np.where(np.isfinite(values), np.ceil(np.nan_to_num(values) / step), PEAK).astype(np.int8)


def _operator_norm(turn: Float64) -> float:
    """An upper bound on ‖P‖: the root of the largest row sum of |PPᵀ|."""
    return float(np.sqrt(np.abs(turn @ turn.T).sum(axis=1).max(initial=0.0))) * (1.0 + 1e-9) + ROUNDING
