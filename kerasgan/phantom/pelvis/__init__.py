"""Pelves: hip bones, femora and sacrum, muscles, fat and the viscera within the pelvic ring."""

from kerasgan.phantom.pelvis.anatomy import PELVIS, make_pelvis
from kerasgan.phantom.pelvis.tissues import LABELS, Tissue

__all__ = ["LABELS", "PELVIS", "Tissue", "make_pelvis"]
