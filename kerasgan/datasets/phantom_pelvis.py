"""Phantom pelvis: computer-generated hips as coronal T1 MR and axial CT; written on first use.

Licence: that of kerasgan, Apache-2.0. Card: datasets/phantom_pelvis.md.
"""

from kerasgan.datasets._phantom import PhantomDataset
from kerasgan.phantom.pelvis import LABELS, PELVIS

DATASET = PhantomDataset(
    PELVIS,
    name="phantom_pelvis",
    title="Computer-generated pelves: coronal T1 MR and axial CT",
    field_of_view_mm=360.0,
    ct_window_hu=None,
    structures={name: (value,) for name, value in LABELS.items()},
)
CARD, prepare, scan, split = DATASET.card, DATASET.prepare, DATASET.scan, DATASET.split
