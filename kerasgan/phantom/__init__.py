"""An anatomical head for every seed, seen by an MR and by a CT scanner, and a dataset of such heads as DICOM."""

from kerasgan.phantom.dataset import VERSION, PhantomSize, read_split, version_folder, write_dataset
from kerasgan.phantom.head import Head, make_head
from kerasgan.phantom.render import render_ct, render_mr
from kerasgan.phantom.tissues import CT_HU, T1_SIGNAL, Tissue

__all__ = [
    "CT_HU",
    "T1_SIGNAL",
    "VERSION",
    "Head",
    "PhantomSize",
    "Tissue",
    "make_head",
    "read_split",
    "render_ct",
    "render_mr",
    "version_folder",
    "write_dataset",
]
