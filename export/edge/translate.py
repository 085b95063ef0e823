"""Translates a DICOM series with an exported model, on a device that has neither TensorFlow nor kerasgan.

    pip install ai-edge-litert numpy pydicom
    python translate.py MODEL.tflite INPUT OUTPUT

INPUT is a DICOM file or a folder that holds one series, OUTPUT a new folder. `kerasgan export RUN MODEL.tflite` writes
the model, which carries its contract. This one file does what `kerasgan translate` does, except:

- an MR series is not corrected for the coil's bias field (N4), even where the training scans were;
- slices with uneven gaps or gantry tilt are translated as they were acquired, not resampled first;
- multi-frame objects are refused, as are compressed ones that pydicom alone cannot decode.

Synthetic images for research. Not a medical device; not for diagnosis or treatment.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_modality_lut
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

CONTRACT, CONTRACT_FORMAT = b"kerasgan_contract", 1
IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file
SIGNATURE, IMAGE, SYNTHETIC = "serving_default", "image", "synthetic"
STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage}
NOT_SCANS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "MPR", "PROJECTION IMAGE", "MIP", "SCREEN SAVE", "PHASE MAP", "ADC"}
PADDING = {"CT": -1024.0, "MR": 0.0}  # what padding becomes; nothing lies lower in CT
AIR_HU = -1000.0
SAME_POSITION_MM, UNEVEN, SHIFTED = 0.01, 0.05, 0.1  # the last two as parts of a gap and of a pixel
BODY_HU, BODY_OF_OTSU, CLOSING_MM, TABLE_MM = -300.0, 0.35, 8.0, 8.0


class InputError(Exception):
    """What the user can mend; printed as one line."""


# --- the model ------------------------------------------------------------------------------------------------------


class Model:
    """A generator between physical units for one slice of a fixed size.

    Attributes:
        contract: What `export/README.md` describes.
        size: `(height, width)` of a slice.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.contract = read_contract(path)
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            signatures = interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{path.name} is not a TFLite model ({str(error).splitlines()[0]}). Export it again."
            ) from None
        wanted = {"inputs": [IMAGE], "outputs": [SYNTHETIC]}
        if signatures.get(SIGNATURE) != wanted:
            raise InputError(
                f"{path.name} has the signatures {signatures}, needed is {SIGNATURE} {wanted}. Export it again."
            )
        self._run = interpreter.get_signature_runner(SIGNATURE)
        self.size = self._run.get_input_details()[IMAGE]["shape"].tolist()[1:3]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """A slice `[height, width]` of the source in physical units as one of the target."""
        return self._run(**{IMAGE: image[None, ..., None].astype(np.float32)})[SYNTHETIC][0, ..., 0]


def read_contract(path: Path) -> dict:
    """The contract that `kerasgan export` puts into a model's metadata.

    Raises:
        InputError: Where the file is missing, is no model, or carries no contract that this program reads.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}. Name a model that kerasgan export wrote.")
    try:
        contract = json.loads(_metadata(path.read_bytes())[CONTRACT])
        known = contract["format"]
    except KeyError:
        raise InputError(
            f"{path.name} carries no contract: another program made it. Name a model that kerasgan export wrote."
        ) from None
    except (ValueError, TypeError, IndexError, struct.error):
        raise InputError(f"{path.name} is no TFLite model, or is damaged. Copy or export it again.") from None
    if known != CONTRACT_FORMAT:
        raise InputError(
            f"{path.name} has a contract of format {known}, this program reads {CONTRACT_FORMAT}. "
            "Take model and program from one release of kerasgan."
        )
    return contract


def _metadata(content: bytes) -> dict[bytes, bytes]:
    """What a TFLite file carries beside its network, by name."""
    if content[4:8] != IDENTIFIER:
        raise ValueError("no TFLite file")
    model = schema.Model.GetRootAs(content)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    return {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in entries}


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One acquired series, sorted along its normal.

    Attributes:
        modality: `"CT"` or `"MR"`.
        headers: Of the slices, without pixels.
        array: float32 `[slices, rows, columns]`; CT in HU.
        spacing_mm: Between slices, rows and columns.
        axes: `[3, 3]`; its columns are the unit vectors along increasing slice, row and column index, in LPS.
    """

    modality: str
    headers: list[Dataset]
    array: np.ndarray
    spacing_mm: np.ndarray
    axes: np.ndarray


def read_series(path: Path, modality: str) -> Series:
    """Reads the one series that a file or folder holds.

    Args:
        path: A DICOM file, or a folder that is searched to any depth.
        modality: What the model takes.

    Raises:
        InputError: Where there is no such series, more than one, or one that cannot be used.
    """
    datasets = _one_series(_read_files(path), path, modality)
    axes = _axes(datasets[0])
    origins = np.array([dataset.ImagePositionPatient for dataset in datasets], np.float64)
    order = np.argsort(origins @ axes[:, 0], kind="stable")
    datasets, origins = [datasets[index] for index in order], origins[order]
    gaps = np.diff(origins @ axes[:, 0])
    if len(gaps) and gaps.min() < SAME_POSITION_MM:
        raise InputError(f"{path} holds several images at one position; keep those of one scan in the folder.")
    thickness = float(datasets[0].get("SliceThickness") or 1.0)
    gap = float(np.sort(gaps)[(len(gaps) - 1) // 2]) if len(gaps) else thickness
    spacing = np.array([gap, *map(float, datasets[0].PixelSpacing)])
    _check_grid(origins - origins[0], gaps, spacing, axes)
    array = np.stack([_values(dataset, modality) for dataset in datasets])
    for dataset in datasets:
        del dataset.PixelData
    return Series(modality, datasets, array, spacing, axes)


def _read_files(path: Path) -> list[Dataset]:
    if not path.exists():
        raise InputError(f"There is no file or folder {path}. Check the path.")
    found = []
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        try:
            if file.is_file() and not file.name.startswith("."):
                found.append(pydicom.dcmread(file))
        except InvalidDicomError:
            continue  # folders hold notes and pictures, too
        except (OSError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
            raise InputError(f"{file.name} cannot be read ({error}). Copy it again, or take it out.") from error
    if not found:
        raise InputError(f"{path} holds no DICOM file. Name a DICOM file or the folder of one series.")
    return found


def _one_series(datasets: list[Dataset], path: Path, modality: str) -> list[Dataset]:
    """The datasets of the only series of the model's modality, all of one geometry."""
    scans = [dataset for dataset in datasets if _is_scan(dataset)]
    kinds = {str(dataset.get("SeriesInstanceUID")): dataset.Modality for dataset in scans}
    if modality not in kinds.values():
        held = ", ".join(sorted(set(kinds.values()))) or "no CT or MR slices"
        raise InputError(f"{path} holds {held}, the model takes {modality}. Name the folder of one {modality} series.")
    if len(kinds) > 1:
        listed = ", ".join(sorted(kinds.values()))
        raise InputError(f"{path} holds {len(kinds)} series ({listed}), one is needed. Name the folder of one of them.")
    if any(_geometry(dataset) != _geometry(scans[0]) for dataset in scans):
        raise InputError(f"{path} holds images of several sizes, spacings or orientations; keep those of one scan.")
    return scans


def _is_scan(dataset: Dataset) -> bool:
    """Whether it is a slice of a CT or MR scan; complains about those that cannot be placed."""
    if dataset.get("SOPClassUID") != STORAGE.get(dataset.get("Modality")):
        return False
    if {str(value).upper() for value in (dataset.get("ImageType") or [])[2:]} & NOT_SCANS:
        return False
    for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        if len(dataset.get(keyword) or []) != count:
            raise InputError(
                f"A slice has no {keyword}: where it lies is unknown. Export the series from its scanner again."
            )
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "PixelData"):
        if not dataset.get(keyword):
            raise InputError(f"A slice has no {keyword}; it is damaged or truncated. Copy the series again.")
    return True


def _geometry(dataset: Dataset) -> tuple:
    numbers = (*dataset.ImageOrientationPatient, *dataset.PixelSpacing)
    return (dataset.Rows, dataset.Columns, *(round(float(number), 3) for number in numbers))


def _axes(dataset: Dataset) -> np.ndarray:
    columns, rows = np.reshape(np.array(dataset.ImageOrientationPatient, np.float64), (2, 3))
    columns /= np.linalg.norm(columns)
    rows -= rows @ columns * columns
    rows /= np.linalg.norm(rows)
    return np.stack([np.cross(columns, rows), rows, columns], axis=1)


def _check_grid(steps: np.ndarray, gaps: np.ndarray, spacing: np.ndarray, axes: np.ndarray) -> None:
    """Says where slices are no regular grid; refuses them where axial slices would have to be cut across them."""
    uneven = len(gaps) and np.abs(gaps - spacing[0]).max() > UNEVEN * spacing[0]
    shifted = (np.ptp(steps @ axes[:, 1:], axis=0) > SHIFTED * spacing[1:]).any()
    if not uneven and not shifted:
        return
    what = "uneven gaps" if uneven else "slices displaced within their plane (gantry tilt)"
    if np.argmax(np.abs(axes[:, 0])) != 2:
        raise InputError(f"The series has {what} and is not axial; resample it first, or use kerasgan translate.")
    print(f"Note: the series has {what}; its slices are translated as they are.")


def _values(dataset: Dataset, modality: str) -> np.ndarray:
    """Values of a slice in the unit of its modality, float32 `[rows, columns]`."""
    try:
        stored = dataset.pixel_array
    except Exception as error:  # pydicom's decoders raise what they like
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise InputError(
            f"Pixels in {syntax} cannot be decoded here; convert the series to uncompressed DICOM."
        ) from error
    if dataset.get("ModalityLUTSequence"):
        values = np.asarray(apply_modality_lut(stored, dataset), np.float32)
    else:
        slope, intercept = (dataset.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
        values = np.asarray(stored * float(1 if slope is None else slope) + float(intercept or 0), np.float32)
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if value is not None:
        ends = np.array([value, value if limit is None else limit], np.int64).astype(stored.dtype)
        values[(stored >= ends.min()) & (stored <= ends.max())] = PADDING[modality]
    return np.maximum(values, PADDING["CT"]) if modality == "CT" else values


# --- the body -------------------------------------------------------------------------------------------------------


def body_mask(array: np.ndarray, spacing_mm: np.ndarray, modality: str) -> np.ndarray:
    """The body, cavities included: one connected region without holes in its axial slices.

    Args:
        array: Axial `[slices, rows, columns]`.
        spacing_mm: Between slices, rows and columns.
        modality: `"CT"` or `"MR"`.

    Returns:
        bool, the array's shape.
    """
    bright = array > (BODY_HU if modality == "CT" else _mr_threshold(array))
    square = [(row, 1) for row in (-1, 0, 1)]
    opened = np.stack([_dilated(_eroded(image, square), square) for image in bright])
    # On MR the scalp encloses the brain, from which the dark skull separates it.
    body = _without_table(_largest(opened), spacing_mm) if modality == "CT" else _largest(_enclosed(opened))
    disc = _disc(spacing_mm, CLOSING_MM)
    margin = max(map(max, disc))
    wide = np.pad(body, [(0, 0), (margin, margin), (margin, margin)])
    closed = np.stack([_eroded(_dilated(image, disc), disc) for image in wide])
    return _enclosed(closed)[:, margin:-margin, margin:-margin]


def _mr_threshold(array: np.ndarray) -> float:
    """0.35 of the way from the background to Otsu's threshold, which lies between noise and dark tissue."""
    low, high = (float(value) for value in np.percentile(array, (1, 99.9)))
    return low + BODY_OF_OTSU * (_otsu(np.minimum(array, high)) - low)


def _otsu(array: np.ndarray, bins: int = 128) -> float:
    """The upper end of the bin that parts a histogram with the greatest variance between its halves."""
    lowest, highest = float(array.min()), float(array.max())
    if lowest == highest:
        return highest
    counts, edges = np.histogram(array, bins, (lowest, highest + (highest - lowest) / bins / 100))
    below = np.cumsum(counts)
    sums = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + np.argmax(np.nan_to_num(between))])


def _disc(spacing_mm: np.ndarray, radius_mm: float) -> list[tuple[int, int]]:
    """The ellipse of pixels that is a disc in mm: for each row offset, how far it reaches along the columns."""
    rows, columns = (max(1, round(radius_mm / float(spacing))) for spacing in spacing_mm[1:])
    return [(row, round(columns * (1 - (row / rows) ** 2) ** 0.5)) for row in range(-rows, rows + 1)]


def _dilated(image: np.ndarray, kernel: Sequence[tuple[int, int]]) -> np.ndarray:
    """`[rows, columns]` grown by a kernel of row offsets and reaches."""
    rows, columns = image.shape
    counts = np.pad(np.cumsum(image, axis=1, dtype=np.int32), [(0, 0), (1, 0)])
    grown = np.zeros_like(image)
    for shift, reach in kernel:
        first = np.clip(np.arange(columns) - reach, 0, columns)
        last = np.clip(np.arange(columns) + reach + 1, 0, columns)
        near = counts[:, last] > counts[:, first]
        start, stop = max(0, shift), min(rows, rows + shift)
        if start < stop:
            grown[start:stop] |= near[start - shift : stop - shift]
    return grown


def _eroded(image: np.ndarray, kernel: Sequence[tuple[int, int]]) -> np.ndarray:
    return ~_dilated(~image, kernel)  # kernels are symmetric; outside of the image nothing erodes it


def _without_table(body: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Cuts off thin sheets that touch the body; ears and nose grow back from where they are attached."""
    disc = _disc(spacing_mm, TABLE_MM / 2)
    core = _largest(np.stack([_dilated(_eroded(image, disc), disc) for image in body]))
    near = np.stack([_dilated(_dilated(image, disc), disc) for image in core])
    return near & body if core.any() else body


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest region of voxels that touch by their faces."""
    labels = _regions(mask, axes=(0, 1))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return mask & (labels == np.argmax(sizes))


def _enclosed(masks: np.ndarray) -> np.ndarray:
    """Each slice with all that it encloses: what the outside cannot reach."""
    outside = _regions(np.pad(~masks, [(0, 0), (1, 1), (1, 1)], constant_values=True), axes=(1,))
    return (outside != outside[:, :1, :1])[:, 1:-1, 1:-1]


def _regions(mask: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Labels of the regions that touch along the last axis and along `axes`; 0 outside the mask.

    Runs of voxels along the last axis are joined where they touch; that takes far fewer steps than voxel by voxel.
    """
    starts = _starts(mask)
    runs = np.cumsum(starts.ravel()).reshape(mask.shape) - 1
    pairs = []
    for axis in axes:
        one, other = (np.moveaxis(mask, axis, 0)[part] for part in (slice(1, None), slice(-1)))
        touching = _starts(one & other)
        ends = (np.moveaxis(runs, axis, 0)[part][touching] for part in (slice(1, None), slice(-1)))
        pairs.append(np.stack(list(ends)))
    roots = _roots(int(starts.sum()), np.concatenate(pairs, axis=1))
    return np.append(1 + roots, 0)[np.where(mask, runs, -1)]


def _starts(mask: np.ndarray) -> np.ndarray:
    """Where a run begins along the last axis."""
    starts = mask.copy()
    starts[..., 1:] &= ~mask[..., :-1]
    return starts


def _roots(count: int, pairs: np.ndarray) -> np.ndarray:
    """For each of `count` nodes the lowest one it is joined to by `pairs` `[2, edges]`."""
    roots = np.arange(count)
    while True:
        ends = roots[pairs]
        open_ = ends[:, ends[0] != ends[1]]
        if not open_.size:
            return roots
        np.minimum.at(roots, open_.max(axis=0), open_.min(axis=0))
        while (roots != roots[roots]).any():
            roots = roots[roots]


# --- translating ----------------------------------------------------------------------------------------------------


def translate(series: Series, model: Model) -> np.ndarray:
    """The other modality on the series' grid, float32 `[slices, rows, columns]`, air outside the body."""
    order, flips = _axial_order(series.axes)
    axial = np.flip(series.array.transpose(order), flips)
    spacing = series.spacing_mm[list(order)]
    body = body_mask(axial, spacing, series.modality)
    source, target = model.contract["source"], model.contract["target"]
    scaled_source = _to_window(axial, body, source["window"], model.contract["mr_scaling"])
    grid = Grid(axial.shape[1:], spacing[1:] / model.contract["pixel_mm"], model.size)
    low, high = target["window"]
    result = np.full(axial.shape, AIR_HU if target["unit"] == "HU" else low, np.float32)
    grid.require_body(body)
    for index in _with_progress(grid.occupied(body)):
        image = model(grid.to_model(scaled_source[index], source["window"][0]))
        values = grid.from_model(np.clip(image, low, high), low)
        result[index][body[index]] = values[body[index]]
    return np.flip(result, flips).transpose(np.argsort(order))


def _axial_order(axes: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which axes of the array lie nearest to superior, posterior and left, and which of the three are to be flipped."""
    along = axes[::-1]  # rows: z, y, x
    order = max(itertools.permutations(range(3)), key=lambda axis: float(np.abs(along[range(3), axis]).sum()))
    return order, tuple(np.flatnonzero(along[range(3), order] < 0).tolist())


def _to_window(array: np.ndarray, body: np.ndarray, window: Sequence[float], mr_scaling: dict | None) -> np.ndarray:
    """Values on the scale that the model takes, clipped to its window."""
    if not mr_scaling or not mr_scaling["percentiles"]:
        return np.clip(array, *window)
    if mr_scaling["bias_correction"]:
        print("Note: the model was trained on scans corrected for bias fields (N4), which is not done here.")
    low, high = np.percentile(array[body] if body.any() else array, mr_scaling["percentiles"])
    if not low < high:
        raise InputError("The MR series is constant; there is nothing to translate. Name another series.")
    return (np.clip(array, low, high) - low) / (high - low) * (window[1] - window[0]) + window[0]


class Grid:
    """The way of a slice to the model's pixels and back: resized, then padded or cropped about the centre.

    Args:
        source: `(rows, columns)` of the slice.
        ratio: Its row and column spacing over the model's pixel.
        size: `(height, width)` of the model.
    """

    def __init__(self, source: Sequence[int], ratio: Sequence[float], size: Sequence[int]) -> None:
        self.size = size
        self.scaled = [max(1, round(side * float(factor))) for side, factor in zip(source, ratio, strict=True)]
        self._down = [_weights(old, new) for old, new in zip(source, self.scaled, strict=True)]
        self._up = [_weights(new, old) for old, new in zip(source, self.scaled, strict=True)]

    def to_model(self, image: np.ndarray, fill: float) -> np.ndarray:
        """`[rows, columns]` as `[height, width]`, `fill` where there is no scan."""
        return _fitted(self._scaled(image), self.size, fill)

    def from_model(self, image: np.ndarray, fill: float) -> np.ndarray:
        """`[height, width]` as `[rows, columns]`, `fill` where the model saw nothing."""
        rows, columns = self._up
        return rows @ _fitted(image, self.scaled, fill) @ columns.T

    def occupied(self, body: np.ndarray) -> list[int]:
        """The slices that hold some body on the model's pixels."""
        return [index for index, image in enumerate(body) if (self.to_model(image, 0) >= 0.5).any()]

    def require_body(self, body: np.ndarray) -> None:
        """Refuses a scan whose body the model does not see as a whole: the rest would silently become air."""
        scaled = self._scaled(body.any(axis=0)) >= 0.5
        if _fitted(scaled, self.size, False).sum() < scaled.sum():
            needed = " ".join(
                str(max(side, -(-new // 4) * 4)) for side, new in zip(self.size, self.scaled, strict=True)
            )
            raise InputError(
                f"The body reaches beyond the {self.size[0]} x {self.size[1]} pixels of the model; "
                f"export one that shows it: kerasgan export RUN MODEL.tflite --size {needed}"
            )

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        rows, columns = self._down
        return rows @ image.astype(np.float32) @ columns.T


def _weights(old: int, new: int) -> np.ndarray:
    """`[new, old]`: each new pixel's shares in the old ones, by area where there are fewer, else linear."""
    width = old / new
    index = np.arange(old)
    if new < old:
        start = np.arange(new)[:, None] * width
        shares = np.clip(np.minimum(start + width, index + 1) - np.maximum(start, index), 0, None) / width
    else:
        centre = np.clip((np.arange(new)[:, None] + 0.5) * width - 0.5, 0, old - 1)
        shares = np.clip(1 - np.abs(centre - index), 0, None)
    return shares.astype(np.float32)


def _fitted(image: np.ndarray, shape: Sequence[int], fill: float) -> np.ndarray:
    """Pads with `fill` or crops about the centre."""
    fitted = np.full(shape, fill, image.dtype)
    common = np.minimum(image.shape, shape)
    take, put = (
        tuple(slice(first, first + length) for first, length in zip((sides - common) // 2, common, strict=True))
        for sides in (np.array(image.shape), np.array(shape))
    )
    fitted[put] = image[take]
    return fitted


def _with_progress(indices: Sequence[int]) -> Iterator[int]:
    started = time.perf_counter()
    for done, index in enumerate(indices, 1):
        yield index
        each = (time.perf_counter() - started) / done
        end = "\n" if done == len(indices) else "\r"
        print(f"Translated {done} of {len(indices)} slices, {1000 * each:.0f} ms each", end=end, flush=True)


# --- writing --------------------------------------------------------------------------------------------------------

IMPLEMENTATION_CLASS_UID = UID("2.25.41362258331725489081196710875728708477")
STATEMENT = "Synthetic image, computed by a neural network. Not for primary diagnosis."
SERIES_NUMBER_OFFSET = 1000  # lists the series after the acquired ones of the study
COPIED = (
    *("SpecificCharacterSet", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "PhysiciansOfRecord"),
    *("IssuerOfAccessionNumberSequence", "ReferencedStudySequence", "ProcedureCodeSequence", "BodyPartExamined"),
    *("AnatomicRegionSequence", "Laterality", "RecognizableVisualFeatures", "BurnedInAnnotation", "PatientPosition"),
    *("PatientOrientationCodeSequence", "PositionReferenceIndicator", "SliceLocation", "AcquisitionNumber"),
    *("AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
TYPE_2 = (  # there, even where nothing is known
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "AcquisitionNumber"),
)
TYPE_2_MR = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")
SCANNER = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "StationName")


def write_series(array: np.ndarray, series: Series, contract: dict, folder: Path) -> None:
    """Writes synthetic values as a new series of the source's study, one file for each of its slices.

    Patient, study and place are the source's; the equipment is kerasgan, not the scanner, of which no private element
    and no acquisition parameter is taken over.

    Args:
        array: `[slices, rows, columns]`, as the series' array.
        series: The source.
        contract: Of the model.
        folder: New; appears only when every file is written.
    """
    shared = _series_attributes(array, series.headers[0], contract)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".translate-", dir=folder.parent))
    try:
        for number, (values, header) in enumerate(zip(array, series.headers, strict=True), 1):
            dataset = _slice_attributes(header, shared, number)
            _set_pixels(dataset, np.rint(values).astype(np.int16))
            dataset.file_meta = _file_meta(contract)
            pydicom.dcmwrite(staging / f"slice_{number:04d}.dcm", dataset, enforce_file_format=True)
        staging.chmod(0o755)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _series_attributes(array: np.ndarray, header: Dataset, contract: dict) -> Dataset:
    """What all slices of the new series share."""
    modality, version, now = contract["target"]["modality"], contract["kerasgan"], datetime.now()
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = STORAGE[modality], modality
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber = SERIES_NUMBER_OFFSET + int(header.get("SeriesNumber") or 0)
    quick = ", quick run" if contract["quick"] else ""
    dataset.SeriesDescription = f"Synthetic {modality} ({contract['recipe']}{quick})"[:64]
    dataset.FrameOfReferenceUID = header.get("FrameOfReferenceUID") or generate_uid(prefix=None)
    for event in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{event}Date", now.strftime("%Y%m%d"))
        setattr(dataset, f"{event}Time", now.strftime("%H%M%S"))
    dataset.Manufacturer = dataset.ManufacturerModelName = "kerasgan"
    dataset.SoftwareVersions = version
    dataset.ImageComments = STATEMENT
    dataset.DerivationDescription = (
        f"Synthetic {modality} computed from {header.Modality} by an unpaired image-to-image network, "
        f"kerasgan {version}. Not for primary diagnosis."
    )
    dataset.ContributingEquipmentSequence = [*_scanner(header), _processing(version, now)]
    dataset.update(_ct_attributes() if modality == "CT" else _mr_attributes(array))
    return dataset


def _ct_attributes() -> Dataset:
    dataset = Dataset()
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]  # a CT image is AXIAL or LOCALIZER, whatever its plane
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "HU"
    dataset.WindowCenter, dataset.WindowWidth, dataset.KVP = "40", "400", None
    return dataset


def _mr_attributes(array: np.ndarray) -> Dataset:
    low, high = np.percentile(array, [1, 99.5])
    dataset = Dataset()
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.WindowCenter, dataset.WindowWidth = round((low + high) / 2), max(round(high - low), 1)
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    for keyword in TYPE_2_MR:
        setattr(dataset, keyword, None)
    return dataset


def _scanner(header: Dataset) -> list[Dataset]:
    if not header.get("Manufacturer"):
        return []
    item = Dataset()
    _copy(header, item, SCANNER)
    item.PurposeOfReferenceCodeSequence = [_code("109101", "Acquisition Equipment")]
    return [item]


def _processing(version: str, now: datetime) -> Dataset:
    item = Dataset()
    item.Manufacturer = item.ManufacturerModelName = "kerasgan"
    item.SoftwareVersions = version
    item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    item.ContributionDescription = "Image synthesis by a neural network"
    item.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _copy(header: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword in header:
            target[keyword] = header[keyword]


def _slice_attributes(header: Dataset, shared: Dataset, number: int) -> Dataset:
    """All of a slice but its pixels."""
    dataset = Dataset()
    for keyword in TYPE_2:
        setattr(dataset, keyword, None)
    dataset.BurnedInAnnotation = "NO"
    if "PatientOrientationCodeSequence" not in header:
        dataset.PatientPosition = None
    if not header.get("BodyPartExamined"):
        dataset.Laterality = None
    _copy(header, dataset, COPIED)
    for group in (0x0010, 0x0012):  # patient and patient study, clinical trial
        dataset.update(header.group_dataset(group))
    dataset.remove_private_tags()
    dataset.update(shared)
    dataset.SOPInstanceUID, dataset.InstanceNumber = generate_uid(prefix=None), number
    dataset.SourceImageSequence = [_source_image(header)]
    for keyword in ("ImagePositionPatient", "PixelSpacing"):
        dataset[keyword] = header[keyword]
    axes = _axes(header)
    dataset.ImageOrientationPatient = [format_number_as_ds(float(x)) for x in (*axes[:, 2], *axes[:, 1])]
    dataset.SliceThickness = header.get("SliceThickness")
    return dataset


def _source_image(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation")]
    return item


def _set_pixels(dataset: Dataset, values: np.ndarray) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.add_new("PixelData", "OW", values.astype("<i2").tobytes())


def _file_meta(contract: dict) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"kerasgan {contract['kerasgan']}"[:16]
    return meta


# --- the program ----------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> None:
    """Translates from disk to disk."""
    output: Path = arguments.output
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output} exists and is not overwritten. Name a new folder.")
    model = Model(arguments.model, arguments.threads)
    source, target = (model.contract[side]["modality"] for side in ("source", "target"))
    print(f"{source} to {target}. {model.contract['statement']}")
    if model.contract["quick"]:
        print("Note: the model is from a quick run, which only shows that the line works; its images mean nothing.")
    series = read_series(arguments.input, source)
    print(f"Read {' x '.join(map(str, series.array.shape))} voxels.")
    write_series(translate(series, model), series, model.contract, output)
    print(f"Wrote {len(series.headers)} slices to {output}.")


def main(words: Sequence[str] | None = None) -> int:
    """The program; returns its exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="a .tflite file of kerasgan export")
    parser.add_argument("input", metavar="INPUT", type=Path, help="a DICOM file or the folder of one series")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="a new folder for the synthetic series")
    parser.add_argument("--threads", type=int, help="of the interpreter  [default: its own choice]")
    try:
        run(parser.parse_args(words))
    except (InputError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
