"""Phantom in two contrasts: computer-generated heads, each rendered as T1 and T2 MR and as CT; written on first use.

Licence: that of kerasgan, Apache-2.0. Card: datasets/phantom_contrasts.md.
"""

from kerasgan.datasets import phantom
from kerasgan.datasets._phantom import PhantomDataset
from kerasgan.phantom import HEAD_CONTRASTS

DATASET = PhantomDataset(
    HEAD_CONTRASTS,
    name="phantom_contrasts",
    title="Computer-generated heads, rendered as T1 and T2 MR and as CT",
    field_of_view_mm=phantom.CARD.field_of_view_mm,
    ct_window_hu=phantom.CARD.ct_window_hu,
    structures={name: labels["a"] for name, labels in phantom.CARD.structures.items()},
)
CARD, prepare, scan, split = DATASET.card, DATASET.prepare, DATASET.scan, DATASET.split
