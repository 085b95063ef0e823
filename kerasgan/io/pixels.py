"""Pixel values of DICOM images in the unit of their modality: decoding, modality LUT, padding."""

from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_modality_lut, pixel_array

from kerasgan.errors import DicomError
from kerasgan.io.headers import frame_dataset, read_dataset
from kerasgan.scans.volume import SourceSlice

AIR_HU = -1024.0  # value of padding in CT, and the lowest value there
NO_SIGNAL = 0.0  # value of padding in MR
# JPEG processes that pydicom does not pass on to its plug-ins for 12-bit images, but GDCM's own reader decodes.
_READ_BY_GDCM = (uid.JPEGExtended12Bit, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")


class PixelReader:
    """Reads slices one after the other; the frames of a multi-frame file come out of one reading of the file.

    Args:
        modality: `"CT"` or `"MR"`.

    Attributes:
        warnings: Assumptions that were made while reading, each once.
    """

    def __init__(self, modality: str) -> None:
        self.modality = modality
        self.warnings: list[str] = []
        self._path: Path | None = None
        self._dataset = FileDataset("", {})
        self._decoded: np.ndarray | None = None  # all frames of the file, if they come only together

    def read(self, slice_: SourceSlice) -> np.ndarray:
        """The values of one slice, float32 `[rows, columns]`, in HU for CT.

        Raises:
            DicomError: For a file that is truncated, damaged, compressed in an unsupported way or not the one that
                was found before.
        """
        if self._path != slice_.path:
            self._path, self._dataset, self._decoded = slice_.path, read_dataset(slice_.path), None
        stored = self._stored_values(slice_)
        if stored.shape != slice_.shape:
            raise DicomError(f"{slice_.path.name} has {stored.shape} pixels, its header announced {slice_.shape}.")
        flat = frame_dataset(self._dataset, slice_.frame)
        text = "no Rescale Intercept (0028,1052): stored values were taken as HU"
        known = flat.get("RescaleIntercept") is not None or flat.get("ModalityLUTSequence")
        if self.modality == "CT" and not known and text not in self.warnings:
            self.warnings.append(text)
        return modality_values(stored, flat, self.modality)

    def _stored_values(self, slice_: SourceSlice) -> np.ndarray:
        dataset, name = self._dataset, slice_.path.name
        if "PixelData" not in dataset:
            raise DicomError(f"{name} is truncated: it has no complete Pixel Data (7FE0,0010).")
        try:
            if _transfer_syntax(dataset) in _READ_BY_GDCM and dataset.BitsStored > 8:
                if self._decoded is None:
                    self._decoded = _gdcm_frames(slice_.path)
                return self._decoded[slice_.frame]
            several = int(dataset.get("NumberOfFrames") or 1) > 1
            return pixel_array(dataset, index=slice_.frame if several else None)
        except (DicomError, MemoryError):
            raise
        except Exception as error:  # pydicom, its plug-ins and GDCM raise what they like on damaged pixels
            reason = str(error).partition("\n")[0].split(" - ")[0].rstrip(".")
            raise DicomError(f"{name} cannot be decoded: {reason}.") from error


def modality_values(stored: np.ndarray, flat: Dataset, modality: str) -> np.ndarray:
    """Stored pixel values in the unit of the modality.

    Args:
        stored: Integers of any shape.
        flat: Flat header of the frame, with Rescale Slope and Intercept (0028,1053), (0028,1052) or a Modality LUT
            Sequence (0028,3000), and Pixel Padding Value (0028,0120) where there are any.
        modality: `"CT"` or `"MR"`.

    Returns:
        float32 of the same shape. Padding becomes air in CT, where no value is below -1024 HU, and 0 in MR.

    Example:
        >>> flat = Dataset()
        >>> flat.RescaleSlope, flat.RescaleIntercept = 1, -1024
        >>> modality_values(np.array([0, 1064]), flat, "CT")
        array([-1024., 40.], dtype=float32)
    """
    if flat.get("ModalityLUTSequence"):
        values = np.asarray(apply_modality_lut(stored, flat), np.float32)
    else:
        slope, intercept = (flat.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
        values = np.asarray(stored * float(1 if slope is None else slope) + float(intercept or 0), np.float32)
    value, limit = flat.get("PixelPaddingValue"), flat.get("PixelPaddingRangeLimit")
    if value is not None:
        # Signed or not, the bits of the padding are those of the pixels.
        ends = np.array([value, value if limit is None else limit], np.int64).astype(stored.dtype)
        values[(stored >= ends.min()) & (stored <= ends.max())] = fill_value(modality)
    return np.maximum(values, AIR_HU) if modality == "CT" else values


def _transfer_syntax(dataset: FileDataset) -> str:
    """Transfer Syntax UID (0002,0010); for a file without a preamble, the native encoding that it was read in."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    return str(dataset.file_meta.TransferSyntaxUID)


def _gdcm_frames(path: Path) -> np.ndarray:
    """All frames of a file as GDCM's own reader decodes them, `[frames, rows, columns]`."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise DicomError(f"{path.name} cannot be decoded: its compressed pixels are damaged.")
    image = reader.GetImage()
    columns, rows = image.GetDimension(0), image.GetDimension(1)
    kind = "i" if image.GetPixelFormat().GetPixelRepresentation() else "u"
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")  # GDCM hands bytes over as text
    return np.frombuffer(buffer, f"{kind}{image.GetPixelFormat().GetBitsAllocated() // 8}").reshape(-1, rows, columns)


def fill_value(modality: str) -> float:
    """The value of voxels that no slice covers."""
    return AIR_HU if modality == "CT" else NO_SIGNAL
