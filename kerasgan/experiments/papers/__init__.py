"""Experiments of published papers; each module holds one as `EXPERIMENT`."""
