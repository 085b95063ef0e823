"""Phantom abdomen: computer-generated abdomens as contrast-enhanced CT and T1 in-phase MR; written on first use.

Licence: that of kerasgan, Apache-2.0. Card: datasets/phantom_abdomen.md.
"""

from kerasgan.datasets._phantom import PhantomDataset
from kerasgan.phantom.abdomen import ABDOMEN, LABELS

DATASET = PhantomDataset(
    ABDOMEN,
    name="phantom_abdomen",
    title="Computer-generated abdomens: contrast-enhanced CT and T1 in-phase MR",
    field_of_view_mm=380.0,
    ct_window_hu=(-160.0, 240.0),
    structures={name: (value,) for name, value in LABELS.items()},
)
CARD, prepare, scan, split = DATASET.card, DATASET.prepare, DATASET.scan, DATASET.split
