"""ADNI, the Alzheimer's Disease Neuroimaging Initiative: T1 MR heads, and the CT of PET/CT visits.

Licence: ADNI Data Use Agreement, no redistribution. Card: datasets/adni.md.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from kerasgan.datasets import DatasetCard, Domain, Scan, check_domains, no_data, patient_key
from kerasgan.datasets._series import describe_found, find_series, to_scan, usable_series
from kerasgan.io import Series
from kerasgan.io.nifti import is_image

logger = logging.getLogger(__name__)

CARD = DatasetCard(
    name="adni",
    title="Alzheimer's Disease Neuroimaging Initiative",
    modalities=("MR", "CT"),
    anatomy="head",
    field_of_view_mm=256.0,
    ct_window_hu=(-1000.0, 1600.0),
    paired=False,
    licence="ADNI Data Use Agreement",
    homepage="https://adni.loni.usc.edu",
    how_to_get=(
        "Apply for access at https://adni.loni.usc.edu (free for research; it takes days to weeks). Then collect T1\n"
        "MR and CT series in the LONI Image and Data Archive, https://ida.loni.usc.edu, download and unpack them."
    ),
    acknowledgement="The Data Use Agreement asks for a fixed text and ADNI in the author list: datasets/adni.md.",
    default_dir="datasets/adni",
)

DOMAIN_OF: dict[str, Domain] = {"MR": "a", "CT": "b"}
T1_MAX_ECHO_TIME_MS = (
    10.0  # MPRAGE and SPGR echo after 2 to 5 ms, T2, FLAIR and susceptibility volumes after 20 and more
)
_SUBJECT = re.compile(r"\d{3}_S_\d{4,5}")


def scan(root: Path) -> list[Scan]:
    """One MR (domain `a`) and one CT (domain `b`) of each subject below `root`, as far as there are any.

    The modality is that of the DICOM tags, or of a NIfTI file's sidecar or values, never a folder's name. Of several
    series of one subject and modality, T1 volumes come before other MR, then more slices before fewer, then the first
    in the order of the paths.

    Args:
        root: `<subject>/<description>/<date>/<image id>/` with DICOM or NIfTI files, or any folder above such a tree.

    Raises:
        DatasetError: Where there is no series at all, or none of one modality that can be used.
    """
    found = find_series(root)
    if not found:
        raise no_data(CARD, root)
    choices: dict[tuple[str, Domain], list[Series]] = defaultdict(list)
    for series in usable_series(found):
        choices[_patient(series, root), DOMAIN_OF[series.modality]].append(series)
    scans = [to_scan(_best(series), patient, domain) for (patient, domain), series in sorted(choices.items())]
    logger.info("%d scans chosen from %d series", len(scans), len(found))
    check_domains(CARD, root, scans, describe_found(found))
    return scans


def _patient(series: Series, root: Path) -> str:
    """The subject (such as 002_S_0413) in the path or file name; without one, Patient ID or the NIfTI file's folder."""
    path = series.files[0].relative_to(root)
    subject = _SUBJECT.search(str(path))
    if subject:
        return patient_key(subject.group())
    return patient_key(path.parts[0]) if is_image(path) else series.patient


def _best(choices: list[Series]) -> Series:
    if len(choices) == 1:
        return choices[0]
    return min(choices, key=lambda series: (not _is_t1_volume(series), -series.shape[0], str(series.files[0])))


def _is_t1_volume(series: Series) -> bool:
    """Whether the first file is a 3-D acquisition (0018,0023) with a short Echo Time (0018,0081); never for NIfTI."""
    try:
        header = pydicom.dcmread(
            series.files[0], stop_before_pixels=True, specific_tags=["MRAcquisitionType", "EchoTime"]
        )
    except InvalidDicomError:
        return False
    echo_time_ms = float(header.get("EchoTime") or 0.0)
    return header.get("MRAcquisitionType") == "3D" and echo_time_ms < T1_MAX_ECHO_TIME_MS
