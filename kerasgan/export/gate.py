"""How far an artifact may be from the Keras generator, for each precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kerasgan.scans.contract import Precision

Statistic = Literal["maximum", "body_mean", "truth_percent"]

HEAD_WINDOW_HU = 2600.0  # limits in HU are stated for the CT window of a head, -1000 to 1600 HU, and scale with others


@dataclass(frozen=True)
class Tolerance:
    """What an artifact may differ by.

    Attributes:
        statistic: `"maximum"` of the absolute differences from Keras, their mean inside the body (`"body_mean"`), or by
            how many percent the mean absolute error against the truth grows inside the body (`"truth_percent"`).
        limit: It stays below this: HU on a window of 2,600 HU, or percent.
        reason: Why this much.
    """

    statistic: Statistic
    limit: float
    reason: str

    def limit_on(self, width: float) -> float:
        """The limit on a target window of another width: in the window's unit, or in percent."""
        return self.limit if self.statistic == "truth_percent" else self.limit * width / HEAD_WINDOW_HU


TWO_PERCENT = Tolerance("truth_percent", 2.0, "two trainings that differ in their seed alone are further apart")

TOLERANCES: dict[Precision, Tolerance] = {
    "float32": Tolerance("maximum", 1.0, "CT is stored in whole HU: less than 1 HU cannot be told from rounding"),
    "float16": Tolerance("body_mean", 3.0, "weights rounded to 11 significant bits; 3 HU is below the noise of a CT"),
    "int8": TWO_PERCENT,
    "int16x8": TWO_PERCENT,
}
WITHOUT_TRUTH = Tolerance("body_mean", 10.0, "no paired scan to judge by; 2,600 HU in 8 bits are steps of 10 HU")


def tolerance(weights: Precision, has_truth: bool) -> Tolerance:
    """What an artifact may differ by.

    Args:
        weights: Its precision.
        has_truth: Whether there are paired scans, which say what a difference costs.
    """
    found = TOLERANCES[weights]
    return WITHOUT_TRUTH if found.statistic == "truth_percent" and not has_truth else found
