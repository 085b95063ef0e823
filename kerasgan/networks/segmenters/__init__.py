"""Segmentation networks, one module each; `registry.find("segmenters", name)` finds them."""
