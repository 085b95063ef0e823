"""The metrics of a synthetic CT and of a synthetic MR, each with the definition that is stored with its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from kerasgan.metrics._metric import Metric, Score, Value, Window, checked_window
from kerasgan.metrics.dependence import (
    BINS,
    PERCENTILES,
    gradient_correlation,
    mutual_information,
    normalised_mutual_information,
)
from kerasgan.metrics.overlap import dice
from kerasgan.metrics.similarity import ms_ssim, ssim
from kerasgan.metrics.voxels import (
    TISSUES,
    in_255,
    in_region,
    in_tissue,
    mean_absolute_error,
    mean_error,
    psnr,
    root_mean_square_error,
    roughness,
)

WINDOW_2023: Window = (-1024.0, 3000.0)
"""HU range to which SynthRAD2023 clips before PSNR and SSIM, as an earlier state of SynthRAD2025's code."""

WINDOW_2025: Window = (-1024.0, 3071.0)
"""HU range of the code that evaluated SynthRAD2025."""

SHELL_MM = 4.0
"""Width of the shell around the body that is found in the source, see `by_place`."""

PLACES = {
    "inside": "inside the body as it is found in the source",
    "shell": f"outside that body, at most {SHELL_MM:g} mm from it",
    "outside": f"more than {SHELL_MM:g} mm outside that body",
}
"""Where a voxel of the mask lies: the places of `by_place`."""

_OVER_BODY = "over the body mask"
_SSIM_TEXT = (
    "7x7x7 uniform window (7x7 in each slice for volumes under 7 slices), data range {:g}, 3 voxels cropped at the "
    "edges, mean of the map over the body mask"
)
_SOURCE_TEXT = "the source clipped to its {:g} and {:g} percentiles over the mask".format(*PERCENTILES)
_CHANGE = "synthetic minus true"
_BONE_TEXT = "Dice coefficient of the voxels of the body mask above 250 HU. Not defined where neither image has any."
_ROUGHNESS_TEXT = (
    "Mean absolute second difference along the slices, of voxels whose neighbours above and below are in the body mask "
    "as well, divided by that of the true CT: 1 is as rough as a real CT, more means slices that do not agree. Not "
    "defined for fewer than three slices."
)


def ct_metrics(window: Window) -> tuple[Metric, ...]:
    """The metrics of a synthetic CT, the masked MAE first.

    Args:
        window: `(low, high)` of the model's CT window, in HU.

    Returns:
        MAE, ME and RMSE in HU, each also split by tissue; MAE and PSNR (Hiasa 2018) and SSIM in 0..255 units of the
        window; the image metrics of SynthRAD2023 and SynthRAD2025; Dice of bone; roughness between slices; and the
        dependence on the source.

    Example:
        >>> [metric.name for metric in ct_metrics((-1000, 1600))][:4]
        ['mae_hu', 'mae_air_hu', 'mae_soft_hu', 'mae_bone_hu']
    """
    name = "[{:g}, {:g}] HU".format(*checked_window(window))
    root = f"Root mean square error {_OVER_BODY}, HU as they are."
    similarity = _SSIM_TEXT.format(WINDOW_2023[1] - WINDOW_2023[0])
    similarity = f"SSIM, {_clipped(WINDOW_2023)}, -1024 outside the body mask, shifted by 1024; {similarity}."
    return (
        Metric("mae_hu", "HU", f"Mean absolute error {_OVER_BODY}, HU as they are (SynthRAD).", mean_absolute_error),
        *_by_tissue("mae", "Mean absolute error", mean_absolute_error),
        Metric("me_hu", "HU", f"Mean error {_OVER_BODY}, {_CHANGE}, HU as they are.", mean_error),
        *_by_tissue("me", f"Mean error, {_CHANGE},", mean_error, in_table=False),
        Metric("rmse_hu", "HU", root, root_mean_square_error, in_table=False),
        *_by_tissue("rmse", "Root mean square error", root_mean_square_error, in_table=False),
        *_paper(window, name),
        _ssim_255(window, name, in_table=False),
        _psnr("psnr_synthrad2023", WINDOW_2023),
        _psnr("psnr_synthrad2025", WINDOW_2025, in_table=False),
        Metric("ssim_synthrad2023", "", similarity, partial(ssim, window=WINDOW_2023)),
        _ms_ssim("ms_ssim_synthrad2025", WINDOW_2025),
        _ms_ssim("ms_ssim_synthrad2025_3000", WINDOW_2023, in_table=False),
        Metric("dice_bone", "", _BONE_TEXT, _bone_dice),
        Metric("roughness", "", _ROUGHNESS_TEXT, roughness),
        *_dependence(window, name),
    )


def mr_metrics(window: Window = (-1.0, 1.0)) -> tuple[Metric, ...]:
    """The metrics of a synthetic MR; those against the truth are in 0..255 units of the model's MR window.

    MR intensities have no physical unit: map truth and synthetic volume into the model's range first.

    Args:
        window: `(low, high)` of that range.

    Example:
        >>> [metric.name for metric in mr_metrics()][:3]
        ['mae_255', 'psnr_255', 'me_255']
    """
    low, high = checked_window(window)
    name = f"the model's MR window [{low:g}, {high:g}]"
    scale = _scale(name)
    mean = f"Mean error {_OVER_BODY}, {_CHANGE}, {scale}."
    root = f"Root mean square error {_OVER_BODY}, {scale}."
    return (
        *_paper(window, name),
        Metric("me_255", "0..255", mean, in_255(mean_error, window)),
        Metric("rmse_255", "0..255", root, in_255(root_mean_square_error, window), in_table=False),
        _ssim_255(window, name),
        *_dependence(window, name),
    )


def by_place(metric: Metric, places: Mapping[str, np.ndarray]) -> tuple[Metric, ...]:
    """Splits a metric of one patient by where voxels lie, and says how many lie there.

    Args:
        metric: For example the MAE.
        places: bool `[slices, rows, columns]` for each of `PLACES`.

    Returns:
        The metric at each place, then the share of the mask's voxels in each.

    Example:
        >>> body = np.array([[[True, False, False]]])
        >>> places = {"inside": body, "shell": np.roll(body, 1), "outside": np.roll(body, 2)}
        >>> metrics = by_place(ct_metrics((-1000, 1600))[0], places)
        >>> scores = kerasgan.metrics.score(np.array([[[7.0, 8, 9]]]), 0.0 * body, body | places["shell"], metrics)
        >>> scores["mae_inside_hu"], scores["mae_outside_hu"], scores["share_shell"]
        (7.0, None, 0.5)
    """
    stem, _, unit = metric.name.rpartition("_")
    split, shares = [], []
    for place, where in PLACES.items():
        text = f"As {metric.name}, over the voxels of the body mask {where}; not defined where there is none."
        function = in_region(metric.function, places[place])
        split.append(Metric(f"{stem}_{place}_{unit}", metric.unit, text, function))
        share = partial(_share, region=places[place])
        shares.append(Metric(f"share_{place}", "", f"Share of the body mask's voxels {where}.", share, in_table=False))
    return (*split, *shares)


def _share(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, region: np.ndarray) -> float:
    return float(region[mask].mean())


def _bone_dice(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
    first, second = (TISSUES[-1].contains(array) & mask for array in (synthetic, truth))
    return dice(first, second)


def _scale(window_name: str) -> str:
    return f"both clipped to {window_name} and mapped to 0..255"


def _paper(window: Window, window_name: str) -> tuple[Metric, ...]:
    """The metrics of Hiasa 2018, Table 1."""
    scale, peak = _scale(window_name), partial(psnr, window=(0.0, 255.0))
    return (
        Metric("mae_255", "0..255", f"Mean absolute error {_OVER_BODY}, {scale}.", in_255(mean_absolute_error, window)),
        Metric("psnr_255", "dB", f"PSNR {_OVER_BODY}, {scale}, peak 255.", in_255(peak, window)),
    )


def _ssim_255(window: Window, window_name: str, in_table: bool = True) -> Metric:
    text = f"SSIM, {_scale(window_name)}, 0 outside the body mask; {_SSIM_TEXT.format(255)}."
    return Metric("ssim_255", "", text, in_255(partial(ssim, window=(0.0, 255.0)), window), in_table=in_table)


def _by_tissue(name: str, words: str, function: Score, in_table: bool = True) -> Iterator[Metric]:
    for tissue in TISSUES:
        text = (
            f"{words} over the voxels of the body mask whose true value lies {tissue.limits}; not defined where there "
            "is none."
        )
        yield Metric(f"{name}_{tissue.name}_hu", "HU", text, in_tissue(function, tissue), in_table=in_table)


def _clipped(window: Window) -> str:
    return "both clipped to [{:g}, {:g}] HU".format(*window)


def _psnr(name: str, window: Window, in_table: bool = True) -> Metric:
    text = f"PSNR {_OVER_BODY}, {_clipped(window)}, peak {window[1] - window[0]:g}."
    return Metric(name, "dB", text, partial(psnr, window=window), in_table=in_table)


def _ms_ssim(name: str, window: Window, in_table: bool = True) -> Metric:
    text = (
        f"MS-SSIM of SynthRAD2025's code, {_clipped(window)}, -1024 outside the body mask, shifted by 1024, each side "
        "padded to at least 97 voxels by its edge; 5 levels with the exponents of Wang 2003, luminance in each of "
        f"them, 7x7x7 uniform window, data range {window[1] - window[0]:g}, 3 voxels cropped at the edges, mean of "
        "each level's map over the body mask. Not defined where a level's mask is empty."
    )
    return Metric(name, "", text, partial(ms_ssim, window=window), in_table=in_table)


def _dependence(window: Window, window_name: str) -> tuple[Metric, ...]:
    clipped = f"the synthetic image clipped to {window_name}, {_SOURCE_TEXT}"
    information = (
        f"Mutual information of the synthetic image and its own source {_OVER_BODY}, in nats: joint histogram of "
        f"{BINS} equal bins each, {clipped}."
    )
    gradients = (
        "Correlation of the central differences of the synthetic image and of its own source, mean of both in-plane "
        f"directions, over voxels with both neighbours in the body mask, {clipped}; "
    )
    normalised = (
        "Normalised mutual information (H(X) + H(Y)) / H(X, Y) of the histogram over the body mask that "
        "mutual_information has, from 1 (independent) to 2."
    )
    signed, magnitude = (partial(gradient_correlation, window=window, magnitude=flag) for flag in (False, True))
    return (
        Metric("mutual_information", "nat", information, partial(mutual_information, window=window), "source"),
        Metric("nmi", "", normalised, partial(normalised_mutual_information, window=window), "source"),
        Metric("gradient_correlation", "", f"{gradients}signed (Hiasa 2018, Eq. 4).", signed, "source", False),
        Metric("gradient_correlation_magnitude", "", f"{gradients}absolute values.", magnitude, "source", False),
    )
