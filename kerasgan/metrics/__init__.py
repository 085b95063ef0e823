"""Metrics of a synthetic volume, each with its definition.

Published values of MR to CT synthesis rest on different definitions (range, mask, window), so a value without its
definition cannot be compared. All functions take `[slices, rows, columns]` volumes on one grid and a boolean mask of
the same shape. A metric that is not defined for a patient, such as the error in bone without any bone, is `None`:
summaries leave that patient out and count the others.

Example:
    >>> truth, mask = np.zeros((1, 9, 9)), np.ones((1, 9, 9), bool)
    >>> kerasgan.metrics.mae(truth + 40, truth, mask)
    40.0

Reference:
    Hiasa et al. 2018, Cross-modality image synthesis from unpaired data using CycleGAN, https://arxiv.org/abs/1803.06629
    Huijben et al. 2024, SynthRAD2023 challenge report, https://doi.org/10.1016/j.media.2024.103276
    SynthRAD2025 challenge, evaluation code, https://github.com/SynthRAD2025/evaluation
"""

from kerasgan.metrics._metric import Metric, Summary, mean_row, score, summarise
from kerasgan.metrics.catalogue import PLACES, SHELL_MM, by_place, ct_metrics, mr_metrics
from kerasgan.metrics.dependence import gradient_correlation, mutual_information, normalised_mutual_information
from kerasgan.metrics.lookup import LookupTable, apply_lookup_table, fit_lookup_table
from kerasgan.metrics.overlap import dice, hausdorff95, iou, label_metrics
from kerasgan.metrics.path_length import path_length_metrics
from kerasgan.metrics.similarity import ms_ssim, ssim
from kerasgan.metrics.voxels import TISSUES, psnr, roughness
from kerasgan.metrics.voxels import mean_absolute_error as mae
from kerasgan.metrics.voxels import mean_error as me
from kerasgan.metrics.voxels import root_mean_square_error as rmse

__all__ = [
    "PLACES",
    "SHELL_MM",
    "TISSUES",
    "LookupTable",
    "Metric",
    "Summary",
    "apply_lookup_table",
    "by_place",
    "ct_metrics",
    "dice",
    "fit_lookup_table",
    "gradient_correlation",
    "hausdorff95",
    "iou",
    "label_metrics",
    "mae",
    "me",
    "mean_row",
    "mr_metrics",
    "ms_ssim",
    "mutual_information",
    "normalised_mutual_information",
    "path_length_metrics",
    "psnr",
    "rmse",
    "roughness",
    "score",
    "ssim",
    "summarise",
]
