"""How large an experiment is; what differs between the scale of a paper and that of a laptop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerasgan.config import Component


@dataclass(frozen=True)
class TrainingScale:
    """How large the trainings are.

    Attributes:
        note: What this scale is, for the report.
        seeds: Repetitions.
        quick: Whether the recipe is scaled down.
        overrides: Changes of the recipe.
        seconds: About how long one training takes on two idle cores.
    """

    note: str
    seeds: int
    quick: bool
    overrides: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class SegmentationScale(TrainingScale):
    """How large the trainings of generators and of segmentation networks are.

    Attributes:
        network: The segmentation network.
        segmentation_steps: Its training steps.
        segmentation_rate: Its learning rate.
        segmentation_seconds: About how long they and the test take on two idle cores.
    """

    network: Component
    segmentation_steps: int
    segmentation_rate: float
    segmentation_seconds: float

    def segmenter(self) -> dict[str, Any]:
        """The settings of the segmentation network, as `Network` takes them."""
        return {"network": self.network, "steps": self.segmentation_steps, "learning_rate": self.segmentation_rate}
