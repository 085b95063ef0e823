"""Medical images in and out: DICOM series, NIfTI, MetaImage and NRRD files.

Every name is imported when it is first used: listing a folder that an index knows loads no DICOM library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.io.dicom import read_series as read_series
    from kerasgan.io.dicom import read_volume as read_volume
    from kerasgan.io.dicom_write import write_dicom as write_dicom
    from kerasgan.io.discovery import discover as discover
    from kerasgan.io.discovery import opened as opened
    from kerasgan.io.frames import patient_key as patient_key
    from kerasgan.io.index import Index as Index
    from kerasgan.io.nifti import read_image as read_image
    from kerasgan.io.nifti import write_image as write_image
    from kerasgan.io.series import Series as Series

_PLACES = {
    "Index": "index",
    "Series": "series",
    "discover": "discovery",
    "opened": "discovery",
    "patient_key": "frames",
    "read_image": "nifti",
    "read_series": "dicom",
    "read_volume": "dicom",
    "write_dicom": "dicom_write",
    "write_image": "nifti",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
