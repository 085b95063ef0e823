"""How close a synthetic volume is to the true one, with the definition of every figure stored beside it.

Published figures of MR to CT synthesis rest on different definitions (range, mask, window), so a figure without its
definition cannot be compared. All functions take `[slices, rows, columns]` volumes on one grid and a boolean mask of
the same shape. A figure that is not defined for a patient, such as the error in bone where there is none, is `None`:
summaries leave that patient out and say how many they counted.

Reference:
    Hiasa et al. 2018, Cross-modality image synthesis from unpaired data using CycleGAN, https://arxiv.org/abs/1803.06629
    Huijben et al. 2024, SynthRAD2023 challenge report, https://doi.org/10.1016/j.media.2024.103276
    SynthRAD2025 challenge, evaluation code, https://github.com/SynthRAD2025/evaluation
"""

from kerasgan.metrics._metric import Metric, Summary, mean_row, score, summarise
from kerasgan.metrics.catalogue import ct_metrics, mr_metrics
from kerasgan.metrics.lookup import LookupTable, apply_lookup_table, fit_lookup_table
from kerasgan.metrics.overlap import label_metrics

__all__ = [
    "LookupTable",
    "Metric",
    "Summary",
    "apply_lookup_table",
    "ct_metrics",
    "fit_lookup_table",
    "label_metrics",
    "mean_row",
    "mr_metrics",
    "score",
    "summarise",
]
