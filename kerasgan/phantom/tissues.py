"""Tissues: the labels that anatomy is painted with, and how scanners see each of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True)
class Look:
    """The look of a tissue on CT and MR.

    Attributes:
        ct_hu: Attenuation at 120 kV, in HU.
        mr_signal: MR signal as a share of the brightest common tissue's, T1-weighted.
        structure: Structure of the label map that the tissue belongs to, such as `"liver"`; empty for none.
        ct_spread_hu: Standard deviation of the attenuation from patient to patient, as in organs with contrast medium.
        bone: Bone has an uneven density.
        t2_signal: T2-weighted signal as a share of that of CSF; 0 in anatomies that are not rendered so.
    """

    ct_hu: float
    mr_signal: float
    structure: str = ""
    ct_spread_hu: float = 0.0
    bone: bool = False
    t2_signal: float = 0.0


class TissueLabel(IntEnum):
    """Base class of the tissues of an anatomy: an integer label and a `Look` for each.

    The labels of an anatomy run from 0 upwards without gaps; 0 is the air around the body.

    Example:
        >>> class Tissue(TissueLabel):
        ...     AIR = 0, Look(-1000, 0.0)
        ...     WATER = 1, Look(0, 0.2)
        >>> Tissue.WATER + 1, Tissue.WATER.look.ct_hu
        (2, 0)
    """

    look: Look

    def __new__(cls, label: int, look: Look) -> TissueLabel:
        """A label with its look; the enumeration calls this for each member."""
        member = int.__new__(cls, label)
        member._value_ = label
        member.look = look
        return member
