"""Experiments: one file each, with a constant `EXPERIMENT`, which states a paper's cells, values and tables.

`compute` computes the cells, each once, and writes a report with the paper's values next to ours.
"""

from kerasgan.experiments.engine.folder import Reproduction, open_reproduction
from kerasgan.experiments.engine.work import compute

__all__ = ["Reproduction", "compute", "open_reproduction"]
