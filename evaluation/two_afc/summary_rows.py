"""Records of a 2AFC benchmark as arrays: what every number of its summary is counted from."""

from __future__ import annotations

import numpy as np

from ..shared.frame import Bools, Floats, Frame


class Rows(Frame):
    """Records of a 2AFC benchmark as arrays."""

    @property
    def agreement(self) -> Floats:
        """Share of people who agree with the metric's judgement before the attack; half for a draw."""
        lead = self["clean_left"] - self["clean_right"]
        chosen = np.where(lead > 0, self["preference"], 1.0 - self["preference"])
        return np.where(lead == 0, 0.5, chosen)

    @property
    def decided(self) -> Bools:
        """Where people were not of two minds."""
        return self["preference"] != 0.5

    @property
    def disagrees(self) -> Bools:
        """Where metric and most people prefer opposite candidates before the attack."""
        return self.decided & (self["clean_left"] != self["clean_right"]) & ~self["agrees"]

    def radius(self, name: str) -> Floats:
        """Radii of one form, 0 where withheld."""
        return super().radius(f"radius_{name}")

    @property
    def within(self) -> Bools:
        """Images inside a certified radius of the form that covers what moved.

        The radius by which all three images may move also covers fewer of them.
        """
        alone = np.where(self["moves"] == "reference", self.radius("sound"), 0.0)
        return self["l2"] < np.maximum(alone, self.radius("all"))

    @property
    def alarms(self) -> Bools:
        """Certificates that were broken: as recorded, or by the recorded numbers themselves."""
        moved = np.nan_to_num(self["shift"]) > np.where(np.isnan(self["shift_limit"]), np.inf, self["shift_limit"])
        return self["alarm"] | (self["flipped"] & self.within) | moved
