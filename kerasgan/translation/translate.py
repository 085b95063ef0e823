"""A scan translated from disk to disk, by a run, a pack, an exported file or any other translator."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerasgan.engines.names import Wanted
from kerasgan.errors import KerasganError
from kerasgan.files import path_of, replacing, require_folder_name, require_writable, with_name_of_its_own
from kerasgan.io import Index, read_volume, write_dicom, write_image
from kerasgan.io.dicom_structures import require_highdicom, write_structures
from kerasgan.io.dicom_write import source_headers
from kerasgan.io.nifti import SUFFIXES, data_paths, is_image, stem, write_labels
from kerasgan.io.pseudonyms import read_key
from kerasgan.pictures.preview import Preview
from kerasgan.runs.pack import SUFFIX
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.expected_error import MINIMUM_PATIENTS, ExpectedError
from kerasgan.scans.geometry import axial_slices, oriented
from kerasgan.scans.geometry import orientation as orientation_of
from kerasgan.scans.structures import Structures
from kerasgan.scans.volume import Modality, Volume
from kerasgan.text import EXPECTED_ERROR, STRUCTURES, SYNTHETIC_IMAGE, rounded
from kerasgan.translation.of_onnx import OnnxTranslator
from kerasgan.translation.of_pack import PackTranslator
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.shipped import place_of_model
from kerasgan.translation.translator import Translation, Translator

Model = Translator | Run | str | Path
Source = str | Path | Mapping[str, str | Path]
THINNEST_MM, THICKEST_MM = 0.3, 20.0  # of axial slices
LARGE_HU = 200.0  # an expected error that the summary counts: bone may be air there, or soft tissue

logger = logging.getLogger(__name__)


def translate(
    model: Model,
    source_path: Source,
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
    modality: Modality | None = None,
    series: str | None = None,
    orientation: str = "",
    anonymous: bool = False,
    flip: bool = False,
    uncertainty: bool = False,
    index: Path | None = None,
    engine: Wanted = "exact",
    like: Path | None = None,
    axial_mm: float | None = None,
    de_identify: Path | None = None,
    structures: bool = False,
) -> Path:
    """Translates one scan from disk to disk, see `kerasgan.translate`.

    Raises:
        KerasganError: Where the model, the input or the output cannot be used.
    """
    in_memory = "Voxels in memory are translated by kerasgan.translate_volume(model, kerasgan.Volume(...))."
    channels = source_path if isinstance(source_path, Mapping) else {"": source_path}
    paths = {name: path_of(path, "source", in_memory) for name, path in channels.items()}
    output = path_of(output, "output")
    require_thickness(axial_mm)
    require_key(de_identify, anonymous)
    translator = open_translator(model, engine, index)
    further = [*([error_map_path(output)] if uncertainty else []), *(structure_paths(output) if structures else [])]
    for path in (output, preview_path(output), *data_paths(output), *further):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise KerasganError(f"{path} exists; name another output, so that nothing is overwritten.")
    if not is_image(output):
        require_folder_name(output, SUFFIXES)
        if structures:
            require_highdicom()
    require_writable(output)
    if len(translator.sources()) == 1:  # channels are told before a folder of several series is asked which one
        names = translator.require_channels(list(paths), next(iter(translator.sources())))
        paths = {name: paths[name] for name in names}  # the first is the one that a new series refers to
    if "" not in paths and series is not None:
        raise KerasganError("--series chooses one of several series; name the folder of each channel without it.")
    with Index(index) as known:
        volumes = {
            name: read_volume(path, strict, modality, series, orientation, known) for name, path in paths.items()
        }
        if like is not None:
            volumes = _in_place_of(read_volume(like, strict, index=known), volumes, like)
    choices = direction, strict, anonymous, flip, uncertainty, axial_mm, de_identify, structures
    translate_read(translator, volumes, output, *choices)
    return output


def translate_read(
    translator: Translator,
    volumes: Mapping[str, Volume],
    output: Path,
    direction: Direction | None = None,
    strict: bool = False,
    anonymous: bool = False,
    flip: bool = False,
    uncertainty: bool = False,
    axial_mm: float | None = None,
    de_identify: Path | None = None,
    structures: bool = False,
    uid: Callable[[Translation], str] = lambda made: "",
) -> Translation:
    """Translates a scan that was read, and writes the result; the values of the scan are overwritten.

    Args:
        translator: The model.
        volumes: The scan, by `""`, or each channel by its name; the first is the one that a new series refers to.
        output: As for `kerasgan.translate`, as are all others but the last.
        uid: The Series Instance UID of a new series, by what was made; `""` for a random one.

    Returns:
        What was written.

    Raises:
        KerasganError: Where the model cannot translate the scan, or the output cannot be written.
    """
    source = next(iter(volumes.values()))
    if not is_image(output) and not source.source:
        raise KerasganError(
            f"A DICOM series needs a DICOM input; name an output that ends in {' or '.join(SUFFIXES)}, or the series "
            "that the input was made from: --like FOLDER."
        )
    if not is_image(output):
        source_headers(source)  # a file that the new series cannot refer to is found before the translation
    if uncertainty:  # known before the scan is prepared and translated
        require_expected_error(translator, translator.contract(translator.direction(source.modality, direction)))
    preview = Preview(source)
    made = translator.translate(volumes, direction, overwrite=True, flip=flip, strict=strict, structures=structures)
    written = made.volume if axial_mm is None else axial_slices(made.volume, axial_mm)
    files = list[Path]()
    if is_image(output):
        write_image(written, output, SYNTHETIC_IMAGE)
    else:
        about = made.contract.series_description, anonymous, made.engine
        key = read_key(de_identify) if de_identify else None
        files = write_dicom(
            written, source, output, *about, resliced=axial_mm is not None, key=key, series_uid=uid(made)
        )
    del written
    if made.structures:
        _write_structures(
            made.structures if axial_mm is None else made.structures.in_axial_slices(axial_mm), output, files
        )
    preview.write(made.volume, preview_path(output))
    if uncertainty:
        expected = require_expected_error(translator, made.contract)
        errors = expected.map_of(made.volume, overwrite=True)
        write_image(errors, error_map_path(output), EXPECTED_ERROR)
        voxels = np.count_nonzero(errors.array) or 1
        logger.info(
            "Expected error: %.0f HU on average in the body, above %.0f HU in %.0f %% of it, as in %d %s patients: %s",
            errors.array.sum(dtype=np.float64) / voxels,
            LARGE_HU,
            100 * np.count_nonzero(errors.array > LARGE_HU) / voxels,
            expected.patients,
            expected.part,
            error_map_path(output),
        )
    return made


def _write_structures(structures: Structures, output: Path, series: Sequence[Path]) -> None:
    """Writes structures beside a translation, of which `series` are the files of a DICOM series, and sums them up."""
    first, second = structure_paths(output)
    if series:
        write_structures(structures, series, first, second)
    else:
        write_labels(structures.labels, first, STRUCTURES)
        values = {"background": 0} | {name: label for label, name in enumerate(structures.names, start=1)}
        with replacing(second) as path:
            path.write_text(f"{json.dumps(values, indent=2)}\n", encoding="utf-8")
    found = structures.volumes_ml.items()
    summary = ", ".join(f"{name} {rounded(volume, 3)} ml" if volume else f"no {name}" for name, volume in found)
    logger.info("Structures: %s: %s and %s", summary, first, second)


def require_key(de_identify: Path | None, anonymous: bool) -> None:
    """Makes the key for de-identified series where it is missing, before a scan is read.

    Raises:
        KerasganError: For a file that is no key, or together with `anonymous`.
    """
    if de_identify is None:
        return
    if anonymous:
        raise KerasganError("--anonymous leaves out what --de-identify replaces; give one of the two.")
    read_key(de_identify)


def require_thickness(axial_mm: float | None) -> None:
    """Refuses axial slices that nobody plans with, before a scan is read.

    Raises:
        KerasganError: For a thickness out of bounds.
    """
    if axial_mm is not None and not THINNEST_MM <= axial_mm <= THICKEST_MM:
        raise KerasganError(
            f"Axial slices of {axial_mm:g} mm are not made; expected {THINNEST_MM:g} to {THICKEST_MM:g} mm."
        )


def _in_place_of(reference: Volume, volumes: Mapping[str, Volume], path: Path) -> dict[str, Volume]:
    """Image files as if they had been read from the DICOM series that they were made from.

    Args:
        reference: The series.
        volumes: The images, by channel.
        path: Where the series is, for messages.

    Raises:
        KerasganError: For a series on another grid than an image, and where either is of the other kind.
    """
    if not reference.source:
        raise KerasganError(f"--like needs a DICOM series, to which the new one refers; {path} has none. Name another.")
    if any(volume.source for volume in volumes.values()):
        raise KerasganError("--like is for NIfTI, MHA and NRRD; what is made of DICOM refers to that. Leave it out.")
    turned = {name: oriented(volume, orientation_of(reference)) for name, volume in volumes.items()}
    for volume in turned.values():
        if not volume.same_grid(reference):
            raise KerasganError(
                f"The input has {volume.shape} voxels of {volume.spacing_mm} mm from {volume.origin_mm}; {path} has "
                f"{reference.shape} of {reference.spacing_mm} mm from {reference.origin_mm}. --like needs the series "
                "that the input was made from, on the same grid; resample the input, or name that series."
            )
    return {name: replace(volume, source=reference.source) for name, volume in turned.items()}


def preview_path(output: Path) -> Path:
    """The file of the picture beside a translation.

    Example:
        >>> str(preview_path(Path("patient/ct.nii.gz"))), str(preview_path(Path("patient/series")))
        ('patient/ct-preview.png', 'patient/series-preview.png')
    """
    return _beside(output, "-preview.png")


def error_map_path(output: Path) -> Path:
    """The file of the map of expected error beside a synthetic CT.

    Example:
        >>> str(error_map_path(Path("patient/ct.mha"))), str(error_map_path(Path("patient/series")))
        ('patient/ct-expected-error.mha', 'patient/series-expected-error.nii.gz')
    """
    suffix = output.name.removeprefix(stem(output)) if is_image(output) else SUFFIXES[0]
    return _beside(output, f"-expected-error{suffix}")


def structure_paths(output: Path) -> tuple[Path, Path]:
    """The files of the structures beside a translation.

    Beside a DICOM series SEG and RTSTRUCT, beside an image a label map of the same format and the names of its labels.

    Example:
        >>> [str(path) for path in structure_paths(Path("patient/ct.mha"))]
        ['patient/ct-structures.mha', 'patient/ct-structures.json']
        >>> [str(path) for path in structure_paths(Path("patient/series"))]
        ['patient/series-seg.dcm', 'patient/series-rtstruct.dcm']
    """
    if is_image(output):
        suffix = output.name.removeprefix(stem(output))
        return _beside(output, f"-structures{suffix}"), _beside(output, "-structures.json")
    return _beside(output, "-seg.dcm"), _beside(output, "-rtstruct.dcm")


def _beside(output: Path, ending: str) -> Path:
    """A file beside a translation, which has its name without the suffix of an image."""
    output = with_name_of_its_own(output)
    return output.with_name(f"{stem(output) if is_image(output) else output.name}{ending}")


def require_expected_error(translator: Translator, contract: Contract) -> ExpectedError:
    """The expected error of a synthetic CT as an evaluation has measured it.

    Raises:
        KerasganError: Where the target is MR, or no evaluation has. The class is the translator's `error`.
    """
    if contract.target.modality != "CT":
        raise translator.error(
            f"The map of expected error is in HU, and {contract.target.modality} has no unit; leave --uncertainty out."
        )
    if contract.expected_error is None:
        again = f", and export it again: {translator.export_command}" if translator.export_command else ""
        raise translator.error(
            f"{translator.name} does not know its expected error, which is measured on pairs of MR and CT, of "
            f"{MINIMUM_PATIENTS} patients at least. Measure it with kerasgan evaluate RUN, with --dataset and "
            f"--data-dir where its own dataset has no pairs{again}; or leave --uncertainty out."
        )
    return contract.expected_error


def translate_volume(
    model: Model,
    volume: Volume | Mapping[str, Volume],
    direction: Direction | None = None,
    flip: bool = False,
    engine: Wanted = "exact",
) -> Volume:
    """Translates a volume, whole slice by whole slice.

    Args:
        model: A run, its directory, a `.kgan`, `.tflite` or `.onnx` file that kerasgan wrote, `"demo"` for the model
            that comes with it, or another `Translator`.
        volume: A scan of any orientation and grid; for a model with named channels, that of each by its name, such as
            `{"T1": t1, "T2": t2}`, all on one grid.
        direction: `"ab"` or `"ba"`; None: the one that takes the volume's modality.
        flip: As in `kerasgan.translate`, as is `engine`, which is measured by each call anew.

    Returns:
        The other modality on the volume's grid: HU within the trained window for CT, the median training scale for MR,
        and air outside the body.

    Raises:
        KerasganError: For a modality that the model was not trained to translate, other channels than it has, or a
            model that cannot be used.
    """
    return open_translator(model, engine).translate(volume, direction, flip=flip)[0]


def open_translator(model: Model, engine: Wanted = "exact", cache: Path | None = None) -> Translator:
    """Opens a model as a translator, by what it is: a new kind of model adds its file and a line here.

    Args:
        model: A run, its directory, a TFLite or ONNX file, `"demo"`, or a translator, which is returned.
        engine: What computes the generators of a run; exported files and other translators have their own.
        cache: Folder in which is kept what was measured of engines; None: it is not.

    Raises:
        KerasganError: Where it is none that kerasgan made: no run, no pack and no exported file; for an engine that
            this machine has not.
        TypeError: For anything but a path, a run or a translator.
    """
    if isinstance(model, Translator):
        return model
    if isinstance(model, Run):
        return RunTranslator(model, engine, cache)
    if isinstance(model, str):
        model = place_of_model(model)
    model = path_of(model, "model", "A Run or a Translator is taken, too, and comes first.")
    if model.suffix == ".tflite":
        return TFLiteTranslator(model)
    if model.suffix == ".onnx":
        return OnnxTranslator(model)
    if model.suffix == SUFFIX:
        return PackTranslator(model, engine, cache)
    return RunTranslator(load_run(model), engine, cache)
