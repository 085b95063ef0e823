"""A scan translated from disk to disk, by a run, a TFLite file or any other translator."""

from __future__ import annotations

from pathlib import Path

from kerasgan.errors import KerasganError
from kerasgan.files import path_of, require_folder_name, require_writable
from kerasgan.io import read_volume, write_dicom, write_image
from kerasgan.io.dicom_write import source_headers
from kerasgan.io.nifti import SUFFIXES, is_image
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction
from kerasgan.scans.volume import Modality, Volume
from kerasgan.text import SYNTHETIC_IMAGE
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.translator import Translator

Model = Translator | Run | str | Path


def translate(
    model: Model,
    source_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
    modality: Modality | None = None,
    series: str | None = None,
    orientation: str = "",
    anonymous: bool = False,
    flip: bool = False,
) -> Path:
    """Translates one scan from disk to disk, see `kerasgan.translate`.

    Raises:
        KerasganError: Where the model, the input or the output cannot be used.
    """
    in_memory = "Voxels in memory are translated by kerasgan.translate_volume(model, kerasgan.Volume(...))."
    source_path, output = path_of(source_path, "source", in_memory), path_of(output, "output")
    translator = open_translator(model)
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise KerasganError(f"{output} exists; name another output, so that nothing is overwritten.")
    if not is_image(output):
        require_folder_name(output, SUFFIXES)
    require_writable(output)
    source = read_volume(source_path, strict, modality, series, orientation)
    if not is_image(output) and not source.source:
        raise KerasganError(f"A DICOM series needs a DICOM input; name an output that ends in {' or '.join(SUFFIXES)}.")
    if not is_image(output):
        source_headers(source)  # a file that the new series cannot refer to is found before the translation
    synthetic, contract = translator.translate(source, direction, overwrite=True, flip=flip, strict=strict)
    if is_image(output):
        write_image(synthetic, output, SYNTHETIC_IMAGE)
    else:
        write_dicom(synthetic, source, output, contract.series_description, anonymous)
    return output


def translate_volume(model: Model, volume: Volume, direction: Direction | None = None, flip: bool = False) -> Volume:
    """Translates a volume, whole slice by whole slice.

    Args:
        model: A run, its directory, a `.tflite` file that kerasgan exported, or another `Translator`.
        volume: A scan of any orientation and grid.
        direction: `"ab"` or `"ba"`; None: the one that takes the volume's modality.
        flip: As in `kerasgan.translate`.

    Returns:
        The other modality on the volume's grid: HU within the trained window for CT, the median training scale for MR,
        and air outside the body.

    Raises:
        KerasganError: For a modality that the model was not trained to translate, or a model that cannot be used.
    """
    return open_translator(model).translate(volume, direction, flip=flip)[0]


def open_translator(model: Model) -> Translator:
    """Opens a model as a translator, by what it is: a new kind of engine adds its file and a line here.

    Raises:
        KerasganError: Where it is neither a run nor a TFLite file that kerasgan exported.
        TypeError: For anything but a path, a run or a translator.
    """
    if isinstance(model, Translator):
        return model
    if isinstance(model, Run):
        return RunTranslator(model)
    model = path_of(model, "model", "A Run or a Translator is taken, too, and comes first.")
    if model.suffix == ".tflite":
        return TFLiteTranslator(model)
    return RunTranslator(load_run(model))
