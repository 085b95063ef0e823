"""Abdomens: liver, spleen, kidneys, stomach and bowel, vessels, spine, ribs and the wall around them."""

from kerasgan.phantom.abdomen.anatomy import ABDOMEN, make_abdomen
from kerasgan.phantom.abdomen.tissues import LABELS, Tissue

__all__ = ["ABDOMEN", "LABELS", "Tissue", "make_abdomen"]
