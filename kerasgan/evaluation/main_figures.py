"""The few figures of an evaluation that are read first, and what is said where a baseline beats a model in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasgan.evaluation import baseline
from kerasgan.evaluation.scale import CONSTANT, CONSTANT_IN_TRUTH

Means = Mapping[str, float | None]
"""Means over patients by metric; None where one is not defined."""

# The MAE alone rewards blur; bone, and the structure of an MR, tell more.
_CT = {"mae_hu": "MAE", "mae_soft_hu": "MAE of soft tissue", "mae_bone_hu": "MAE of bone", "dice_bone": "Dice of bone"}
_MR = {"mae_255": "MAE", "ssim_255": "SSIM"}
_MORE_IS_BETTER = {"dice_bone", "ssim_255"}

_NO_STRUCTURE = "most of a body lies near one value, which a constant has without showing any structure"
REASONS = {
    CONSTANT: _NO_STRUCTURE,
    CONSTANT_IN_TRUTH: f"it knows the true outline of the body, and {_NO_STRUCTURE}",
    baseline.NAME: "it is fitted on true pairs of scans, which a training without pairs never sees",
}
"""Why a baseline can beat a model, by its name."""


def with_unit(name: str, unit: str) -> str:
    """Adds a unit to a metric's name, if it has one.

    Example:
        >>> with_unit("mae_hu", "HU"), with_unit("ssim_255", "")
        ('mae_hu [HU]', 'ssim_255')
    """
    return f"{name} [{unit}]" if unit else name


def main_figures(units: Mapping[str, str]) -> dict[str, str]:
    """The metrics that are read first, each with its title.

    Args:
        units: The unit of each metric that was measured, by its name; "" for those without one.

    Returns:
        Of a synthetic CT the MAE, that of soft tissue and of bone, and the Dice of bone; of an MR the MAE and SSIM, as
        far as they were measured; the first metric where none of them was.

    Example:
        >>> main_figures({"mae_hu": "HU", "rmse_hu": "HU", "mae_bone_hu": "HU", "dice_bone": ""})
        {'mae_hu': 'MAE [HU]', 'mae_bone_hu': 'MAE of bone [HU]', 'dice_bone': 'Dice of bone'}
    """
    titles = _CT if "mae_hu" in units else _MR
    found = {name: with_unit(title, units[name]) for name, title in titles.items() if name in units}
    return found or {name: with_unit(name, unit) for name, unit in list(units.items())[:1]}


class Figures:
    """The figures of an evaluation that several runs have in common.

    Attributes:
        definitions: Unit, definition and `in_table` of each metric.
    """

    definitions: dict[str, dict[str, Any]]

    @property
    def main(self) -> dict[str, str]:
        """The few figures that are read first, each with its title."""
        return main_figures({name: entry["unit"] for name, entry in self.definitions.items()})

    @property
    def every(self) -> dict[str, str]:
        """All figures that tables and pictures show, each with its title; files hold more."""
        return {name: with_unit(name, one["unit"]) for name, one in self.definitions.items() if one["in_table"]}


def beaten(models: Mapping[str, tuple[Means, Mapping[str, Means]]], titles: Mapping[str, str]) -> list[str]:
    """A sentence for each baseline that is better than a model: in which figures, and why that can be.

    Args:
        models: For each model its means, and those of what it is read beside by method.
        titles: The figures that are looked at, see `main_figures`.

    Example:
        >>> own, beside = {"mae_hu": 110.0}, {"constant": {"mae_hu": 148.0}, "best look-up table": {"mae_hu": 95.0}}
        >>> beaten({"kerasgan": (own, beside)}, {"mae_hu": "MAE [HU]"})
        ['The best look-up table is better than kerasgan in MAE: it is fitted on true pairs of scans, ... never sees.']
    """
    sentences = []
    for method, reason in REASONS.items():
        found: dict[str, list[str]] = {}  # models by the figures in which it is better
        for model, (own, beside) in models.items():
            better = []
            for name, title in titles.items():
                one, other = beside.get(method, {}).get(name), own.get(name)
                if one is not None and other is not None and (one > other if name in _MORE_IS_BETTER else one < other):
                    better.append(title.partition(" [")[0])
            if better:
                found.setdefault(", ".join(better), []).append(model)
        if found:
            texts = [f"than {' and '.join(names)} in {figures}" for figures, names in found.items()]
            sentences.append(f"The {method} is better {'; '.join(texts)}: {reason}.")
    return sentences
