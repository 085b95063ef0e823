"""Phantom: computer-generated heads, each rendered as T1 MR and as CT; written on first use.

Licence: that of kerasgan, Apache-2.0. Card: datasets/phantom.md.
"""

from kerasgan.datasets._phantom import PhantomDataset
from kerasgan.phantom import HEAD, Tissue

DATASET = PhantomDataset(
    HEAD,
    name="phantom",
    title="Computer-generated heads, rendered as T1 MR and as CT",
    field_of_view_mm=224.0,
    ct_window_hu=(-1000.0, 1600.0),
    structures={
        "bone": (Tissue.CORTICAL_BONE, Tissue.MARROW),
        "brain": (Tissue.GREY_MATTER, Tissue.DEEP_GREY, Tissue.WHITE_MATTER),
    },
)
CARD, prepare, scan, split = DATASET.card, DATASET.prepare, DATASET.scan, DATASET.split
