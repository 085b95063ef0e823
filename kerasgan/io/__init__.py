"""Medical images in and out: DICOM series, NIfTI and MetaImage files."""

from kerasgan.io.dicom import read_series, read_volume
from kerasgan.io.dicom_write import write_dicom
from kerasgan.io.discovery import discover, opened
from kerasgan.io.headers import patient_key
from kerasgan.io.index import Index
from kerasgan.io.nifti import read_image, write_image
from kerasgan.io.series import Series

__all__ = [
    "Index",
    "Series",
    "discover",
    "opened",
    "patient_key",
    "read_image",
    "read_series",
    "read_volume",
    "write_dicom",
    "write_image",
]
