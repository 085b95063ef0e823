"""Two folders of your own scans: `<root>/a` and `<root>/b`, one of them MR, the other CT. Card: datasets/folder.md."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DOMAINS, DatasetCard, Scan, no_data
from kerasgan.datasets._series import describe_found, to_scan, usable_series
from kerasgan.errors import DatasetError
from kerasgan.io import Index, Series, discover, patient_key
from kerasgan.io.discovery import READING
from kerasgan.io.images import image_patient
from kerasgan.io.nifti import is_image, stem
from kerasgan.scans.channels import checked_names
from kerasgan.scans.volume import Modality

logger = logging.getLogger(__name__)

CARD = DatasetCard(
    name="folder",
    title="Your own scans in two folders",
    modalities=("MR", "CT"),  # nominal: `load` puts in the modalities of the scans
    anatomy="",
    field_of_view_mm=256.0,
    ct_window_hu=None,
    paired=False,
    licence="that of your data",
    homepage="",
    how_to_get="Put scans of one modality (DICOM, NIfTI, MHA, NRRD) into a folder a/, those of the other into b/ next "
    "to it, and an empty file called paired if both scans of a patient are on one grid.",
    acknowledgement="",
    default_dir="datasets/folder",
)

PAIRED, SYNTHETIC, CHANNELS = "paired", "synthetic", "channels"  # names of files


def describe(root: Path) -> DatasetCard:
    """The card; paired if `<root>/paired` says that both scans of a patient are registered and on one grid.

    The file `<root>/channels` names the contrasts of each patient in domain a, such as `T1, T2`.

    Raises:
        DatasetError: For names that cannot be channels.
    """
    file = root / CHANNELS
    channels: tuple[str, ...] = ()
    if file.is_file():
        try:
            channels = checked_names(tuple(re.split(r"[\s,]+", file.read_text(encoding="utf-8").strip())))
        except ValueError as error:  # one of encoding, too
            raise DatasetError(f"{file} is invalid: {error}. Write the names in the order for the networks.") from error
    return replace(CARD, paired=(root / PAIRED).exists(), channels=channels)


def scan(root: Path, modalities: Mapping[str, Modality] | None = None, index: Index | None = None) -> list[Scan]:
    """Every usable series below `<root>/a` and `<root>/b`; each NIfTI, MetaImage or NRRD file counts as one series.

    The patient of a DICOM scan is its Patient ID (0010,0020), or without one its study or folder. The patient of an
    image file is the sub-folder of `a` or `b` that holds it; for a file directly in `a` or `b`, the BIDS subject in its
    name or else the name without suffix, unless that names no one, as `image` does. So `a/sub-01_T1w.nii.gz` and
    `b/sub-01_ct.nii.gz` are one patient, and so are `a/7.mha` and `b/7.mha`.

    With a file `channels`, a scan in a is the channel that is the name of a folder on the way to it, or of its file, or
    the end of that after `_` or `-`; the patient is found without it. So `a/7_T1.mha`, `a/T2/7.mha` and `b/7.mha` are
    one patient. Others are left out.

    Args:
        root: The folder of `a` and `b`.
        modalities: The modality of a domain, for image files that do not show it themselves.
        index: What was read of files before.

    Raises:
        DatasetError: For a folder that is missing or has no scan that can be used.
    """
    if not any((root / domain).is_dir() for domain in DOMAINS):
        raise no_data(CARD, root)
    scans, channels = [], describe(root).channels
    for domain in DOMAINS:
        folder = root / domain
        told = (modalities or {}).get(domain)
        found = discover(folder, told, index=index, title=READING) if folder.is_dir() else []
        usable = usable_series(found, (root / SYNTHETIC).exists())
        if not usable:
            raise DatasetError(
                f"{folder} has no MR or CT scan that can be used; found: {describe_found(found)}. "
                f"Put DICOM, NIfTI, MHA or NRRD scans there; `kerasgan inspect {folder}` says why one is left out. "
                f"Where it asks which modality a file has, say it with --modality {domain}=MR or {domain}=CT."
            )
        if domain == "a" and channels:
            scans += _of_channels(usable, folder, channels)
        else:
            scans += [to_scan(series, series.patient, domain) for series in usable]
    return scans


def _of_channels(usable: Sequence[Series], folder: Path, channels: Sequence[str]) -> list[Scan]:
    """The scans whose path names one of the channels."""
    scans = []
    for series in usable:
        path = series.files[0].relative_to(folder)
        shown = {name: rest for name in channels if (rest := _without(name, path)) is not None}
        if len(shown) == 1:
            name, rest = shown.popitem()
            patient = patient_key(image_patient(rest, folder.name)) if is_image(path) else series.patient
            scans.append(replace(to_scan(series, patient, "a"), channel=name))
    if left_out := len(usable) - len(scans):
        logger.warning("%d series of a left out: not one of %s in their path", left_out, ", ".join(channels))
    if not scans:
        raise DatasetError(
            f"No file in {folder} is named after one of the channels {', '.join(channels)}, which the file "
            f"{folder.parent / CHANNELS} lists. Name files such as 7_{channels[0]}.nii.gz, or folders such as "
            f"7/{channels[0]}."
        )
    return scans


def _without(channel: str, path: Path) -> Path | None:
    """A path without the channel's name; None where it is not in it.

    Example:
        >>> [str(_without("T1", Path(name))) for name in ("7_T1.mha", "T1/7.mha", "7/T1.nii.gz", "7_T1w.mha")]
        ['7.mha', '7.mha', '7/image.nii.gz', 'None']
    """
    *folders, _ = path.parts
    name = stem(path)
    if name == channel:
        kept = "image"  # which names no one
    elif name.endswith((f"_{channel}", f"-{channel}")):
        kept = name[: -len(channel) - 1]
    elif channel in folders:
        kept = name
    else:
        return None
    return Path(*(part for part in folders if part != channel), kept + path.name[len(name) :])
