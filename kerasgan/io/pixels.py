"""Pixel values of DICOM images in the unit of their modality: decoding, modality LUT, padding."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_modality_lut, pixel_array

from kerasgan.errors import DicomError
from kerasgan.io.decoder import SYNTAXES, decoder_of
from kerasgan.io.headers import frame_dataset, read_dataset
from kerasgan.io.index import Index
from kerasgan.scans.bounds import values_fault
from kerasgan.scans.volume import SourceSlice

AIR_HU = -1024.0  # value of padding in CT, and the lowest value there
NO_SIGNAL = 0.0  # value of padding in MR
_TISSUE_HU = (-900.0, 3000.0)  # from lung to bone; a padding value in between is one of the body
_PADDED = 0.001  # share of a slice that padding takes at least, where its value is one of the body


class PixelReader:
    """Reads slices one after the other; the frames of a file come out of one reading of it.

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

    def read(self, slice_: SourceSlice) -> np.ndarray:
        """The values of one slice, float32 `[rows, columns]`, in HU for CT.

        Raises:
            DicomError: For a file that is truncated, damaged, compressed in an unsupported way or not the one that
                was found before.
        """
        if self._path != slice_.path:
            self._path, self._dataset = slice_.path, read_dataset(slice_.path)
        try:
            stored = self._stored_values(slice_.frame)
            if stored.shape != slice_.shape:
                raise DicomError(f"it has {stored.shape} pixels, its header announced {slice_.shape}")
            flat = frame_dataset(self._dataset, slice_.frame)
            values, remarks = modality_values(stored, flat, self.modality)
        except Exception as error:  # pydicom and its plug-ins raise what they like on damaged pixels
            reason = str(error).partition("\n")[0].split(" - ")[0].rstrip(".")
            raise DicomError(f"cannot be decoded: {reason or type(error).__name__}") from error
        self.warnings += [remark for remark in remarks if remark not in self.warnings]
        return values

    def digest(self, slice_: SourceSlice, index: Index) -> str:
        """A digest of the values of a slice, which the index may know; equal for equal values.

        Raises:
            DicomError: As `read`.
        """

        def digest() -> list[str]:
            return [hashlib.blake2b(self.read(slice_).tobytes(), digest_size=16).hexdigest()]

        return index.answer(slice_.path, f"digest {self.modality} {slice_.frame}", digest)[0]

    def _stored_values(self, frame: int) -> np.ndarray:
        dataset = self._dataset
        if "PixelData" not in dataset:
            raise DicomError("it has no complete Pixel Data (7FE0,0010)")
        if _transfer_syntax(dataset) in SYNTAXES:
            return decoder_of(os.getpid()).decode(dataset, frame)
        several = int(dataset.get("NumberOfFrames") or 1) > 1
        return pixel_array(dataset, index=frame if several else None)


def values_refusal(values: np.ndarray, modality: str) -> str:
    """Why no DICOM scan of this modality has such values, with the attributes to check; empty for good values."""
    fault = values_fault(values, modality)
    attributes = "Rescale Slope (0028,1053), Rescale Intercept (0028,1052) and Pixel Representation (0028,0103)"
    return f"{fault}; check {attributes}" if fault else ""


def modality_values(stored: np.ndarray, flat: Dataset, modality: str) -> tuple[np.ndarray, list[str]]:
    """Stored pixel values in the unit of the modality.

    Args:
        stored: Integers of any shape.
        flat: Flat header of the frame, with Rescale Slope and Intercept (0028,1053), (0028,1052) or a Modality LUT
            Sequence (0028,3000), and Pixel Padding Value (0028,0120) where there are any.
        modality: `"CT"` or `"MR"`.

    Returns:
        float32 of the same shape, and the assumptions that were made. Padding becomes air in CT, where no value is
        below -1024 HU, and 0 in MR. Where its value is one of the body, nothing is taken as padding in CT, and in MR
        what lies at the border of the image.

    Reference:
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.5.html#sect_C.7.5.1.1.2

    Example:
        >>> flat = Dataset()
        >>> flat.RescaleSlope, flat.RescaleIntercept = 1, -1024
        >>> modality_values(np.array([0, 1064]), flat, "CT")
        (array([-1024.,    40.], dtype=float32), [])
    """
    remarks = []
    slope, intercept = (flat.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if flat.get("ModalityLUTSequence"):
        values = np.asarray(apply_modality_lut(stored, flat), np.float32)
    else:
        if modality == "CT" and intercept is None:
            remarks.append("no Rescale Intercept (0028,1052): stored values were taken as HU")
        if slope == 0:  # as GDCM and dcm2niix do: no scanner writes an image without one
            remarks.append("Rescale Slope (0028,1053) is 0: taken as 1")
        values = np.asarray(stored * float(slope or 1) + float(intercept or 0), np.float32)
    value, limit = flat.get("PixelPaddingValue"), flat.get("PixelPaddingRangeLimit")
    if value is not None:
        # Signed or not, the bits of the padding are those of the pixels.
        ends = np.array([value, value if limit is None else limit], np.int64).astype(stored.dtype)
        padded = (stored >= ends.min()) & (stored <= ends.max())
        others = values[~padded]
        low, high = _TISSUE_HU if modality == "CT" else (others.min(initial=np.inf), others.max(initial=-np.inf))
        if (padded & (values > low) & (values < high)).any():  # the Standard takes a value that no native pixel has
            outside = _outside(padded) if modality == "MR" else np.zeros_like(padded)
            if (padded & ~outside).any():
                kept = " in HU: its voxels were kept" if modality == "CT" else ": only at the border is it padding"
                remarks.append(f"Pixel Padding Value (0028,0120) {value} is a value of the body{kept}")
            padded = outside
        values[padded] = fill_value(modality)
    return np.maximum(values, AIR_HU) if modality == "CT" else values, remarks


def _outside(mask: np.ndarray) -> np.ndarray:
    """The regions of a mask that reach the border of the image, without those of a few pixels."""
    from scipy import ndimage  # here: it takes longer to load than a folder to list

    regions, count = ndimage.label(mask)
    edges = [np.unique(np.take(regions, (0, -1), axis)) for axis in range(mask.ndim)]
    large = np.bincount(regions.ravel(), minlength=count + 1) >= _PADDED * mask.size
    large &= np.isin(np.arange(count + 1), np.concatenate(edges))
    return mask & large[regions]


def _transfer_syntax(dataset: FileDataset) -> str:
    """Transfer Syntax UID (0002,0010); for a file without a preamble, the native encoding that it was read in."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    return str(dataset.file_meta.TransferSyntaxUID)


def fill_value(modality: str) -> float:
    """The value of voxels that no slice covers."""
    return AIR_HU if modality == "CT" else NO_SIGNAL
