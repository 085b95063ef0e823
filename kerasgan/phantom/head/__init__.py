"""Heads: brain, skull, face, air spaces and the soft tissue around them."""

from kerasgan.phantom.head.anatomy import HEAD, make_head
from kerasgan.phantom.head.tissues import Tissue

__all__ = ["HEAD", "Tissue", "make_head"]
