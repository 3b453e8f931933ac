"""What float32 scores say of the rows that a search does not return (THEORY §6)."""

from __future__ import annotations

from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import search_score, search_squared_distance, unseen_chord, unseen_distance
from .channel import Channel, Float64

UNIT_HIGH = 1.0 + 1e-14
"""Upper bound on the norm of ẑ = z/‖z‖ as computed in float64; its rounding to float32 is counted by the slack."""


def longest_of(z: Float64) -> float:
    """A proved upper bound on ‖z‖."""
    return float(norm_bounds(z)[1])


def unseen(channel: Channel, z: Float64, worst: float) -> float:
    """A lower bound on the distance of every row whose float32 score is no better than ``worst``."""
    dim, unit = channel.store.dim, channel.input_unit
    if channel.score == "cosine":
        return unseen_chord(worst, y_norm=UNIT_HIGH, dim=dim, input_unit=unit)
    return unseen_distance(worst, z_norm=longest_of(z), row_norm=channel.longest, dim=dim, input_unit=unit)


def search_bound(channel: Channel, z: Float64, distance: float) -> float:
    """The float32 score that every row nearer than this distance is at least as good as; infinite for all rows."""
    dim, unit = channel.store.dim, channel.input_unit
    if channel.score == "cosine":
        return search_score(distance, y_norm=UNIT_HIGH, dim=dim, input_unit=unit)
    return search_squared_distance(distance, z_norm=longest_of(z), row_norm=channel.longest, dim=dim, input_unit=unit)
