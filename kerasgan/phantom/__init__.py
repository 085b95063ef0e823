"""Anatomy for every seed, as MR and CT scanners see it, and datasets of such patients as DICOM."""

from kerasgan.phantom.anatomy import Anatomy, Size
from kerasgan.phantom.dataset import map_name, read_split, version_folder, write_dataset
from kerasgan.phantom.head import HEAD, HEAD_CONTRASTS, Tissue, make_head
from kerasgan.phantom.model import Grid, Phantom
from kerasgan.phantom.render import render_ct, render_mr

__all__ = [
    "HEAD",
    "HEAD_CONTRASTS",
    "Anatomy",
    "Grid",
    "Phantom",
    "Size",
    "Tissue",
    "make_head",
    "map_name",
    "read_split",
    "render_ct",
    "render_mr",
    "version_folder",
    "write_dataset",
]
