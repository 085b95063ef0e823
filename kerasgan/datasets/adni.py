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
from kerasgan.datasets._series import describe_found, to_scan, usable_series
from kerasgan.io import Index, Series, discover
from kerasgan.io.discovery import READING

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

# MPRAGE and SPGR echo after 2 to 5 ms, T2, FLAIR and susceptibility volumes after 20 and more.
T1_MAX_ECHO_TIME_MS = 10.0
_SUBJECT = re.compile(r"\d{3}_S_\d{4,5}")


def scan(root: Path, index: Index | None = None) -> list[Scan]:
    """One MR (domain `a`) and one CT (domain `b`) of each subject below `root`, as far as there are any.

    The modality is that of the DICOM tags, or of a NIfTI file's sidecar or values, never a folder's name. Of several
    series of one subject and modality, T1 volumes come before other MR, then more slices before fewer, then the first
    in the order of the paths.

    Args:
        root: `<subject>/<description>/<date>/<image id>/` with DICOM or NIfTI files, or any folder above such a tree.
        index: What was read of files before.

    Raises:
        DatasetError: For a folder without any series, or without a usable one of a modality.
    """
    found = discover(root, index=index, title=READING)
    if not found:
        raise no_data(CARD, root)
    choices: dict[tuple[str, Domain], list[Series]] = defaultdict(list)
    for series in usable_series(found):
        path = series.files[0].relative_to(root)
        # The subject (such as 002_S_0413) in the path; without one, Patient ID or the NIfTI file's folder.
        subject = _SUBJECT.search(str(path))
        patient = patient_key(subject.group()) if subject else series.patient
        choices[patient, "a" if series.modality == "MR" else "b"].append(series)
    scans = []
    for (patient, domain), several in sorted(choices.items()):
        best = several[0]
        if len(several) > 1:
            best = min(several, key=lambda one: (not _is_t1_volume(one), -one.shape[0], str(one.files[0])))
        scans.append(to_scan(best, patient, domain))
    logger.info("%d scans chosen from %d series", len(scans), len(found))
    check_domains(CARD, root, scans, describe_found(found))
    return scans


def _is_t1_volume(series: Series) -> bool:
    """True for a 3-D acquisition (0018,0023) with a short Echo Time (0018,0081) in the first file; never for NIfTI."""
    tags = ["MRAcquisitionType", "EchoTime"]
    try:
        header = pydicom.dcmread(series.files[0], stop_before_pixels=True, specific_tags=tags)
    except InvalidDicomError:
        return False
    echo_time_ms = float(header.get("EchoTime") or 0.0)
    return header.get("MRAcquisitionType") == "3D" and echo_time_ms < T1_MAX_ECHO_TIME_MS
