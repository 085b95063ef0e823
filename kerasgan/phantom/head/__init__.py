"""Heads: brain, skull, face, air spaces and the soft tissue around them."""

from kerasgan.phantom.head.anatomy import HEAD, HEAD_CONTRASTS, make_head
from kerasgan.phantom.head.tissues import Tissue

__all__ = ["HEAD", "HEAD_CONTRASTS", "Tissue", "make_head"]
