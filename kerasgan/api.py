"""One function for each command of the command line; a run is given as a `Run` or as the path of its directory.

Each function imports what it needs when it is called, so that importing this module loads neither TensorFlow nor DICOM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from kerasgan.files import path_of
from kerasgan.networks.keras_settings import require_tensorflow

if TYPE_CHECKING:
    import keras

    from kerasgan.engines.names import Wanted as Engine
    from kerasgan.evaluation.comparison import RunComparison
    from kerasgan.evaluation.folds import CrossValidation
    from kerasgan.evaluation.overview import ListedRun
    from kerasgan.evaluation.results import Evaluation
    from kerasgan.io import Series
    from kerasgan.runs.run import Run
    from kerasgan.runs.workers import Workers
    from kerasgan.scans.contract import Direction, Precision
    from kerasgan.scans.volume import Modality
    from kerasgan.translation.manifest import Row
    from kerasgan.translation.translate import Model

RunOrPath: TypeAlias = "Run | str | Path"


def train(
    dataset: str | None = None,
    *,
    data_dir: str | Path | None = None,
    recipe: str | None = None,
    out: str | Path | None = None,
    quick: bool = False,
    resume: bool = False,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    strict: bool = False,
    trust: bool = False,
    modalities: Mapping[str, Modality] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    fold: str | None = None,
    extend: int | None = None,
    init: RunOrPath | None = None,
    index: str | Path | None = None,
    devices: int | Sequence[int] | None = None,
    workers: Workers | None = None,
) -> Run:
    """Trains a recipe on a dataset, or continues or extends a run.

    Args:
        dataset: Name of a dataset, such as `"adni"`, or path of a `.py` file that defines one. May be left out when
            `resume` is given.
        data_dir: Folder of its data; None: the folder that the dataset's card names.
        recipe: Name of a recipe, or path of a `.py` file that defines one; None: `"kerasgan2026"`, or the run's own.
        out: The run directory; None: a new one under `runs/`, or with `resume` the newest there that fits.
        quick: Scale the recipe down to minutes on two cores; everything the run writes is marked as quick.
        resume: Continue from the last checkpoint.
        seed: Seed of everything random; None: 0, or the run's own.
        overrides: `path=value` assignments to fields of the recipe, such as `"schedule.steps=5000"`.
        strict: Refuse scans that need repair (uneven gaps, gantry tilt, damaged files) instead of repairing them.
        trust: With `resume`, execute `.py` files that the run names, though you do not name them here.
        modalities: `{"a": "MR"}` and the like: what image files of a domain are that do not show it themselves. A run
            remembers it.
        callbacks: Objects of `keras.callbacks.Callback`, such as those that report to Weights & Biases or MLflow. An
            epoch is a reporting period of the recipe. `logs` has the `step`, the mean of each loss as in `history.csv`,
            and at the end of a validated period its scores, as in `val_mae_ab`. An error of a callback ends the
            training after a checkpoint; one that sets `self.model.stop_training` ends it with the period.
        fold: For a cross-validation by patient, the part that is tested, such as `"2/5"`: the second of five parts into
            which the seed, or `data.split_seed`, divides the patients. None: the split of the dataset.
        extend: Continue a finished run for so many steps more; its learning rate then follows the schedule of all.
        init: Start a new run from the weights of another one: its last generators and, where the recipe has the same,
            its discriminators. Or from the `.keras` file of one generator. The optimisers begin anew.
        index: Folder of an index, which is made there: files that it knows and that have not changed are not read
            again, see `kerasgan.io.Index`. None: every file is read.
        devices: How many of this machine's devices share each batch, or the numbers of the GPUs that do; None: as many
            GPUs as can share it evenly.
        workers: Which of several processes that train together this one is, such as
            `kerasgan.runs.workers.Workers(0, 2, "node1:20000")`; all are given the same `out`. None: it trains alone.

    Returns:
        The run, trained to the recipe's last step. A student's run has been measured against its teacher.

    Raises:
        KerasganError: For bad input; the message says what to do.
        TypeError: For overrides that are no list of texts, and callbacks that are none of Keras.

    Example:
        run = kerasgan.train("phantom", quick=True, overrides=["schedule.steps=500"])
        run.path  # runs/phantom-kerasgan2026-quick-20250101-120000
    """
    if isinstance(overrides, str | Mapping):
        raise TypeError(f"overrides must be a list such as ['schedule.steps=5000']; got {overrides!r}.")
    from kerasgan.training.request import Request
    from kerasgan.training.start import check, choose_out

    request = Request(
        *(dataset, _optional(data_dir, "data_dir"), recipe, quick, tuple(overrides), seed, strict, trust, modalities),
        fold=fold,
        extend=extend,
        init=None if init is None else _path(init),
        index=_optional(index, "index"),
        devices=tuple(devices) if isinstance(devices, Sequence) else devices,
        workers=workers,
    )
    resume = resume or extend is not None
    place = choose_out(request, _optional(out, "out"), resume)
    check(request, place, resume)

    require_tensorflow()
    import keras

    from kerasgan.training import train as training

    kind = keras.callbacks.Callback
    if wrong := [callbacks] if isinstance(callbacks, kind) else [one for one in callbacks if not isinstance(one, kind)]:
        raise TypeError(f"callbacks must be a list of objects of keras.callbacks.Callback; got {wrong[0]!r}.")
    run = training.train(request, place, resume, callbacks)
    if run.recipe.distillation:
        from kerasgan import distillation

        distillation.write_report(run, request.data_dir)
    return run


def inspect(
    path: str | Path,
    modality: Modality | None = None,
    key: str | None = None,
    series: str | int | None = None,
    orientation: str = "",
    index: str | Path | None = None,
) -> list[Series]:
    """Finds every image series below a path and says of each whether it can be used.

    Args:
        path: A folder, a `.zip` of one, or one DICOM, NIfTI, MetaImage or NRRD file.
        modality: `"MR"` or `"CT"`: what image files are that do not show it themselves.
        key: Only those of the patient whom messages, tables and pictures call by this key, such as `"p07e0e0d088"`.
        series: Only those of this number, description or UID, or with this attribute, such as `"EchoTime 4.6"`.
        orientation: The sides of the patient to which columns, rows and slices run, such as `"LAS"`, of image files
            that do not say it themselves.
        index: Folder of an index, which is made there: files that it knows and that have not changed are not read
            again, see `kerasgan.io.Index`. None: every file is read.

    Returns:
        The series, with modality, geometry, `usable`, and the reason if it cannot be used. Patients appear by a key
        that does not show their name or id, the same as in a run on this folder.

    Raises:
        DicomError: If the path is missing or cannot be read.
        ValueError: For another modality.

    Example:
        [(series.modality, series.shape) for series in kerasgan.inspect("patient")]
    """
    from kerasgan.io.discovery import find_listed

    return find_listed(
        path_of(path, "path"), _known(modality), key, _text(series), orientation, _optional(index, "index")
    )


def translate(
    model: Model,
    source: str | Path | Mapping[str, str | Path],
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
    modality: Modality | None = None,
    series: str | int | None = None,
    orientation: str = "",
    anonymous: bool = False,
    flip: bool = False,
    uncertainty: bool = False,
    index: str | Path | None = None,
    engine: Engine = "exact",
    like: str | Path | None = None,
    axial_mm: float | None = None,
    de_identify: str | Path | None = None,
    structures: bool = False,
) -> Path:
    """Synthesises the other modality of a scan, from disk to disk, on the scan's own grid.

    Args:
        model: A trained run, a `.tflite` or `.onnx` file that kerasgan exported, `"demo"` for the small model that
            comes with it and knows a phantom alone, or another `Translator`, such as a server's.
        source: A DICOM folder, a `.zip` of one, or a NIfTI, MetaImage or NRRD file; for a model with named
            channels, one for each, such as `{"T1": "patient/T1", "T2": "patient/T2"}`, all on one grid.
        output: A `.nii.gz`, `.nii`, `.mha` or `.nrrd` file; any other name is a folder for a DICOM series, which
            needs a DICOM source, of several channels the model's first. It must not exist. A picture of both scans
            is written beside it, `ct-preview.png` for `ct.nii.gz` or a folder `ct`.
        direction: `"ab"` or `"ba"`; None: the direction that takes the scan's modality.
        strict: Refuse a series that needs repair, and a scan that the model's input gate calls foreign.
        modality: `"MR"` or `"CT"`: what an image file is that does not show it itself.
        series: Which of several series of the source: its number, description, UID, or what else tells it apart, such
            as `"EchoTime 4.6"`; None: the only one. Not for channels, each of which has a folder of its own.
        orientation: The sides of the patient to which columns, rows and slices run, such as `"LAS"`, of an image file
            that does not say it itself.
        anonymous: Leave out of a DICOM series who the patient is, and which study: it is then in a study of its own.
        flip: Take the mean of each slice's result and of the mirrored slice's, mirrored back, in twice the time.
        uncertainty: Write beside a synthetic CT a map of its expected absolute error in HU, `ct-expected-error.nii.gz`
            for `ct.nii.gz`, a NIfTI file also beside a DICOM series. The run needs an evaluation on pairs.
        index: As in `inspect`; what was measured of engines is kept there, too.
        engine: What computes the generator of a run: `"exact"`, TensorFlow in float32; `"best"`, the fastest on this
            machine that changes next to nothing, as the command line takes it; or one of its names, such as
            `"openvino-bf16"`.
        like: Of an image file, the DICOM series that it was made from, on the same grid: a DICOM series can then be
            written, with that one's patient, study and frame of reference.
        axial_mm: Thickness in mm, from 0.3 to 20, of axial slices in which the result is written in place of the
            scan's own, as planning systems take them; None: on the scan's grid.
        de_identify: A file with a secret, which is made where it is missing: patient, study and dates of a DICOM series
            become what the secret makes of them, always the same, so that series of one study stay together.
        structures: Segment the result by the network that a run of a recipe such as `mujtaba2025` has, and write the
            structures beside it: for a DICOM series `ct` `ct-seg.dcm` and `ct-rtstruct.dcm`, which need highdicom
            (`pip install 'kerasgan[structures]'`); for `ct.nii.gz` the label map `ct-structures.nii.gz`, and
            `ct-structures.json` with the label of each name.

    Returns:
        The file or folder that was written: HU for CT, the median training scale for MR.

    Raises:
        KerasganError: If the model, the scan or the output cannot be used; the message says what to do.

    Example:
        kerasgan.translate("runs/first", "patient/T1", "patient/synthetic-ct")
        kerasgan.translate("model.tflite", "patient/T1.nii.gz", "patient/synthetic-ct.nii.gz")  # needs no TensorFlow
    """
    from kerasgan.translation import translate as translation

    return translation.translate(
        model,
        source,
        output,
        direction,
        strict,
        _known(modality),
        _text(series),
        orientation,
        anonymous,
        flip,
        uncertainty,
        _optional(index, "index"),
        engine,
        _optional(like, "like"),
        axial_mm,
        _optional(de_identify, "de_identify"),
        structures,
    )


def translate_folder(
    model: Model,
    folder: str | Path,
    out: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
    modality: Modality | None = None,
    orientation: str = "",
    anonymous: bool = False,
    flip: bool = False,
    uncertainty: bool = False,
    workers: int = 1,
    cluster: str | None = None,
    index: str | Path | None = None,
    engine: Engine = "exact",
    axial_mm: float | None = None,
    de_identify: str | Path | None = None,
    structures: bool = False,
) -> list[Row]:
    """Translates each series below a folder that the model takes, and writes a manifest of what became of each.

    What a former call has finished is not done again, as long as the scan and the model are the same.

    Args:
        model: As for `translate`.
        folder: A folder of DICOM series, NIfTI, MetaImage and NRRD files at any depth.
        out: A new folder, or that of a call which ended early. Outputs are at the places of their sources: a folder for
            a DICOM series, a file of the same format for an image. `manifest.csv` and `manifest.jsonl` list them.
        direction: As for `translate`, as are `strict`, `modality`, `orientation`, `anonymous`, `flip` and
            `uncertainty`, for each scan.
        workers: Processes on this machine, each with the network; 1: this process alone.
        cluster: `"tcp://HOST:PORT"` of a dask.distributed scheduler, or `"slurm:FILE"`; its workers need the package
            and the same disk.
        index: As for `translate`, as are `engine`, `axial_mm`, `de_identify` and `structures`.

    Returns:
        A row for each series: what was written, or why it failed or was left out.

    Raises:
        KerasganError: For a folder without a series that the model takes, or places that cannot be used; one scan that
            fails is a row.
        WorkerError: Where the workers cannot be reached, or all of them were lost. What was finished stands.

    Example:
        rows = kerasgan.translate_folder("runs/first", "archive", "synthetic", workers=4)
        [(row.input, row.error) for row in rows if row.status == "failed"]
    """
    from kerasgan.translation.cohort import Cohort
    from kerasgan.translation.task import Options

    key = _optional(de_identify, "de_identify")
    choices = anonymous, flip, uncertainty, axial_mm, str(key.resolve()) if key else None, structures
    options = Options(direction, strict, _known(modality), orientation, *choices)
    cohort = Cohort(model, folder, out, options, index=_optional(index, "index"), engine=engine)
    return list(cohort.translate(workers, cluster))


def evaluate(
    run: RunOrPath,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    direction: Direction = "ab",
    dataset: str | None = None,
    trust: bool = False,
    part: Literal["test", "validation"] = "test",
    flip: bool = False,
    index: str | Path | None = None,
    workers: int = 1,
    cluster: str | None = None,
    engine: Engine = "exact",
) -> Evaluation:
    """Translates every paired test patient of a run and compares the result with the truth.

    Args:
        run: A trained run, or a `.kgan` file, of which `dataset` says on whom it is scored.
        data_dir: The dataset's folder, or one of the same layout with other patients; None: as in training.
        out: Folder for the results; None: `evaluation` in the run, or `evaluation-ba`, `evaluation-external` and so on,
            and for `model.kgan` the folder `model-evaluation-external` beside it.
        direction: `"ab"` or `"ba"`: the generator to score.
        dataset: Another dataset, or a `.py` file, of other people; None: the run's own.
        trust: Execute the `.py` file of the run's dataset, if it has one.
        part: `"validation"` scores the patients who chose the generator, to decide by; report the others.
        flip: As in `translate`; the folder's name then ends in `-flip`.
        index: As in `translate`, as is `engine`, which the results name.
        workers: Processes that evaluate pairs, each with the network; 1: this process alone.
        cluster: As in `translate_folder`.

    Returns:
        The scores by patient, which are also written to `out` as CSV, JSON, a table and a picture for each pair.

    Raises:
        KerasganError: If there are no paired patients that the run has not seen, or the run cannot be used.
        WorkerError: Where the workers cannot be reached, or a pair ends its process.

    Example:
        print(kerasgan.evaluate("runs/first").table())
    """
    from kerasgan.evaluation import evaluate as evaluation

    return evaluation.evaluate(
        *(_path(run), _optional(data_dir, "data_dir"), _optional(out, "out"), direction, dataset, trust, part, flip),
        index=_optional(index, "index"),
        workers=workers,
        cluster=cluster,
        engine=engine,
    )


def score(
    synthetic: str | Path,
    truth: str | Path,
    source: str | Path | None = None,
    mask: str | Path | None = None,
    out: str | Path | None = None,
) -> Evaluation:
    """Scores synthetic CTs of any origin against true CTs, as `evaluate` scores those of a run.

    Args:
        synthetic: A synthetic CT, a file or a DICOM series, or a folder with those of several patients, who are told
            apart by Patient ID or, for NIfTI, MHA and NRRD, by the first folder on the way to the file, or else
            its name.
        truth: The acquired CT of the same patient or patients, on the same grid.
        source: The scans that were translated, on that grid, too: errors are then split by place, the result is
            compared with its source, and a look-up table of the other patients stands beside it.
        mask: An image that is above zero where is scored, or a folder of them; None: the body that is found in the
            truth.
        out: Folder for the results; None: the path of the synthetic scan with `-score`.

    Returns:
        The scores by patient, which are also written to `out` as CSV, JSON, a table and a picture for each patient.

    Raises:
        KerasganError: For patients or grids that do not agree, or scans that cannot be used.

    Example:
        print(kerasgan.score("synthetic", "data/b", source="data/a").table())
    """
    from kerasgan.evaluation import score as scoring

    return scoring.score(
        path_of(synthetic, "synthetic"),
        path_of(truth, "truth"),
        _optional(source, "source"),
        _optional(mask, "mask"),
        _optional(out, "out"),
    )


def compare(runs: Sequence[RunOrPath], out: str | Path | None = None) -> RunComparison | CrossValidation:
    """Compares evaluated runs on the same patients, with paired tests of the differences to the first run.

    Runs that are different folds of one cross-validation are joined: the mean and spread over all their patients.

    Args:
        runs: Two runs or more that were evaluated on the same data, or folders that `score` wrote of it, or its folds.
        out: Folder for `comparison.md`, `.csv`, `.json` and, not of folds, a picture for each direction; None:
            nothing is written.

    Returns:
        The comparison; print its `table()`.

    Raises:
        RunError: For fewer than two runs, or runs whose evaluations cannot be compared.

    Example:
        print(kerasgan.compare(["runs/plain", "runs/gc"]).table())
    """
    if isinstance(runs, str | Path):
        raise TypeError(f"runs must be a list of two run directories or more; got {str(runs)!r}.")
    from kerasgan.evaluation import compare as comparison

    return comparison.compare([_path(run) for run in runs], out)


def list_runs(folder: str | Path = "runs") -> list[ListedRun]:
    """Lists the runs below a folder, the newest first, from their records alone.

    Args:
        folder: A folder of run directories, at any depth.

    Returns:
        For each run its data, recipe, steps done and planned, the errors that it has reached, and what is damaged.

    Raises:
        KerasganError: For a folder without a run.

    Example:
        [(run.path, run.steps, run.planned) for run in kerasgan.list_runs()]
    """
    from kerasgan.evaluation import overview

    return overview.list_runs(path_of(folder, "folder"))


def export_serving(
    run: RunOrPath,
    output: str | Path,
    name: str | None = None,
    version: int | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
    force: bool = False,
) -> Path:
    """Writes the generators of a run as TensorFlow Serving reads them, and compares them with the Keras generators.

    Args:
        run: A trained run.
        output: Folder of served models, a new one or one that this function has written to.
        name: Name of the model; None: the recipe's.
        version: A number above the last version; None: the next one.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute the `.py` file of the run's dataset, if it has one.
        force: Replace the last version of the model even if that has other modalities, another anatomy or another pixel
            size, or is no quick run where this one is.

    Returns:
        `output/<name>/<version>`, which `tf.saved_model.load` takes.

    Raises:
        KerasganError: If the served model would differ from a Keras generator or cannot be written.

    Example:
        kerasgan.export_serving("runs/first", "serving", name="head")
    """
    require_tensorflow()
    from kerasgan.export import export_serving

    return export_serving(
        _path(run), path_of(output, "output"), name, version, _optional(data_dir, "data_dir"), trust, force
    )


def export_tflite(
    run: RunOrPath,
    output: str | Path,
    direction: Direction | None = None,
    size: tuple[int, int] | None = None,
    precision: Precision = "float32",
    data_dir: str | Path | None = None,
    trust: bool = False,
) -> Path:
    """Writes one generator of a run as a TFLite file for LiteRT, and compares it with the Keras generator.

    Args:
        run: A trained run.
        output: The `.tflite` file, which must not exist; a `.json` file of the same name reports size and comparison.
        direction: `"ab"` or `"ba"`; None: `"ab"`.
        size: `(height, width)` of a slice in pixels, multiples of 4; None: the size trained on.
        precision: Numbers of the weights; input and output are float32 in any case.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute the `.py` file of the run's dataset, if it has one.

    Returns:
        `output`. The file carries its contract, so it can be passed on alone.

    Raises:
        KerasganError: For an invalid size or name, or if the file would differ too much from the Keras generator.

    Example:
        kerasgan.export_tflite("runs/first", "model.tflite", size=(256, 256), precision="int8")
    """
    require_tensorflow()
    from kerasgan.export import export_tflite

    return export_tflite(
        _path(run), path_of(output, "output"), direction, size, precision, _optional(data_dir, "data_dir"), trust
    )


def export_onnx(
    run: RunOrPath,
    output: str | Path,
    direction: Direction | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
) -> Path:
    """Writes one generator of a run as an ONNX model, and compares it in ONNX Runtime with the Keras generator.

    Args:
        run: A trained run.
        output: The `.onnx` file, which must not exist; a `.json` file of the same name reports size and comparison.
        direction: `"ab"` or `"ba"`; None: `"ab"`.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute the `.py` file of the run's dataset, if it has one.

    Returns:
        `output`: float32 `image` `[batch, height, width, channels]` to `synthetic` `[batch, height, width, 1]`, values
        such as HU, any lengths. Its contract is in its metadata, `kerasgan_contract`.

    Raises:
        KerasganError: If a package is missing (`pip install 'kerasgan[onnx]'`), for an invalid name, or if the file
            would differ too much from the Keras generator.

    Example:
        kerasgan.export_onnx("runs/first", "model.onnx")
    """
    require_tensorflow()
    from kerasgan.export import export_onnx

    return export_onnx(_path(run), path_of(output, "output"), direction, _optional(data_dir, "data_dir"), trust)


def export_keras(
    run: RunOrPath,
    output: str | Path,
    direction: Direction | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
) -> Path:
    """Writes one generator of a run as a model that plain Keras loads, from physical values to physical values.

    The run's own `generators/ab-best.keras`, which plain Keras loads as well, takes and gives values in [-1, 1].

    Args:
        run: A trained run.
        output: The `.keras` file, which must not exist; a `.json` file of the same name reports size and comparison.
        direction: `"ab"` or `"ba"`; None: `"ab"`.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute the `.py` file of the run's dataset, if it has one.

    Returns:
        `output`: float32 `[batch, height, width, channels]` to `[batch, height, width, 1]`, values such as HU, any
        lengths. Its contract is the member `kerasgan_contract.json` of the file, which is a zip.

    Raises:
        KerasganError: For an invalid name, or if the file would differ too much from the Keras generator.

    Example:
        kerasgan.export_keras("runs/first", "model.keras")
    """
    require_tensorflow()
    from kerasgan.export import export_keras

    return export_keras(_path(run), path_of(output, "output"), direction, _optional(data_dir, "data_dir"), trust)


def export_slicer(
    run: RunOrPath,
    output: str | Path,
    direction: Direction | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
) -> Path:
    """Writes one generator of a run for 3D Slicer, as an ONNX model that is compared with the Keras generator.

    Args:
        run: A trained run without named channels.
        output: A new folder.
        direction: `"ab"` or `"ba"`; None: `"ab"`.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute the `.py` file of the run's dataset, if it has one.

    Returns:
        `output`: the model and its class for the extension ModalityConverter, with the script that installs them; the
        module Kerasgan, which calls `kerasgan translate` for the volume in view; and a README.md about both.

    Raises:
        KerasganError: As `export_onnx`, for several channels, and for a folder that exists.

    Example:
        kerasgan.export_slicer("runs/first", "for-slicer")
    """
    require_tensorflow()
    from kerasgan.export import export_slicer

    return export_slicer(_path(run), path_of(output, "output"), direction, _optional(data_dir, "data_dir"), trust)


def pack(run: RunOrPath, output: str | Path) -> Path:
    """Writes what a translation needs of a run into one file, which `kerasgan.translate` takes in place of the run.

    Args:
        run: A trained run.
        output: The `.kgan` file, which must not exist.

    Returns:
        `output`: a zip with the generators as the validation chose them, contracts, input gates, recipe, facts, and a
        model card with the licence of the data. It holds no code, no scan and no key of a patient.

    Raises:
        KerasganError: For a run without weights, a damaged generator, or an invalid name.

    Example:
        kerasgan.pack("runs/first", "first.kgan")
        kerasgan.translate("first.kgan", "patient/T1", "patient/synthetic-ct")
    """
    require_tensorflow()
    from kerasgan.export import pack

    return pack(_path(run), path_of(output, "output"))


def challenge(run: RunOrPath, folder: str | Path) -> Path:
    """Writes the folder of a container that enters a SynthRAD challenge: Dockerfile, package and model.

    Args:
        run: A run with a generator from MR to CT.
        folder: A new folder.

    Returns:
        `folder`, with `Dockerfile`, `README.md`, the wheel of the installed package and `model.kgan`.

    Raises:
        KerasganError: For a run that does not make CT from MR or has no weights, a folder that exists, or a package
            that is installed from a checkout with `-e`.

    Example:
        kerasgan.challenge("runs/first", "entry")  # docker build -t synthetic-ct entry
    """
    require_tensorflow()
    from kerasgan.export.challenge import synthrad_folder

    return synthrad_folder(_path(run), path_of(folder, "folder"))


def write_phantom(
    folder: str | Path, anatomy: Literal["head", "pelvis", "abdomen"] = "head", seed: int = 900_001
) -> Path:
    """Writes MR and CT of a made-up patient as DICOM series, to try everything without a scan of one's own.

    Both show the patient in the same place, so that the CT is what a synthetic one should be.

    Args:
        folder: Absent or empty.
        anatomy: The body part.
        seed: Another number is another patient.

    Returns:
        `folder`, with the series in `MR` and `CT`.

    Raises:
        KerasganError: For a folder that holds something, or an anatomy of which there is no phantom.

    Example:
        kerasgan.write_phantom("patient")
        kerasgan.translate("demo", "patient/MR", "patient/synthetic-ct")
    """
    from kerasgan.phantom.sample import write_patient

    place = path_of(folder, "folder")
    write_patient(place, anatomy, seed)
    return place


def distill(
    run: RunOrPath,
    student: str = "small",
    *,
    direction: Direction = "ab",
    out: str | Path | None = None,
    steps: int | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
    index: str | Path | None = None,
) -> Run:
    """Trains a small generator to do what a run's large one does, and compares both in `distillation.json`.

    Args:
        run: The teacher, a trained run.
        student: `"small"`, at most 1/20 of the teacher's multiply-accumulates and 1/30 of its parameters, or `"tiny"`,
            1/60 and 1/80.
        direction: `"ab"` or `"ba"`: the generator to distil; the other one is copied from the teacher.
        out: The student's run directory; None: `<run>-<student>`.
        steps: Length of the training; None: as long as the teacher's.
        data_dir: Folder of the run's dataset; None: as in training.
        trust: Execute `.py` files that the run names.
        index: As in `inspect`.

    Returns:
        The student's run, which can be translated with, evaluated and exported. An interrupted one is continued with
        `train(out=..., resume=True)`.

    Raises:
        KerasganError: For bad input; the message says what to do.

    Reference:
        Li et al. 2020, https://arxiv.org/abs/2003.08936.

    Example:
        kerasgan.distill("runs/first", "tiny").path  # runs/first-tiny
    """
    from kerasgan.training.request import Request
    from kerasgan.training.start import student_out

    place = student_out(_path(run), student, _optional(out, "out"), trust)

    require_tensorflow()
    from kerasgan import distillation
    from kerasgan.networks.build import check_components
    from kerasgan.runs.run import load_run
    from kerasgan.training import train as training

    teacher = load_run(_path(run))
    request = replace(Request.of(teacher, _optional(data_dir, "data_dir")), index=_optional(index, "index"))
    recipe = distillation.student_recipe(teacher, student, direction, steps, place)
    check_components(recipe)
    trained = training.train_recipe(recipe, request, place)
    distillation.write_report(trained, request.data_dir)
    return trained


def reproduce(
    name: str,
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    scale: Literal["laptop", "paper"] = "laptop",
    out: str | Path | None = None,
    seeds: int | Sequence[int] | None = None,
    cells: str | None = None,
    workers: int = 1,
    cluster: str | None = None,
) -> Path:
    """Runs a paper's experiment, or what is left of it, and writes a report with the paper's values next to ours.

    Args:
        name: Name of an experiment, such as `"hiasa2018"`, or path of a `.py` file that defines one.
        dataset: Name or path of a dataset; None: the experiment's own.
        data_dir: Folder of its data; None: the folder that the dataset's card names.
        scale: `"laptop"`, two hours on two cores, or `"paper"`.
        out: Folder for everything; None: `reproductions/<name>-<dataset>-<scale>`.
        seeds: Number of repetitions, or those to compute here, such as `(3, 4)`; None: as many as the scale asks for.
        cells: Pattern of the names of the cells to compute here, such as `"train-*"`; None: all.
        workers: Processes of this machine that compute cells, each one at a time; on Slurm how many are asked for.
        cluster: `"tcp://HOST:PORT"` of a dask scheduler, or `"slurm:FILE"`, see `kerasgan.execution.executor`.

    Returns:
        `report.html`; of a part it says which cells are missing.

    Raises:
        KerasganError: For bad input; the message says what to do.

    Example:
        kerasgan.reproduce("hiasa2018")  # reproductions/hiasa2018-phantom_pelvis-laptop/report.html
    """
    from kerasgan import experiments

    opened = experiments.open_reproduction(
        name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=seeds, cells=cells
    )
    return experiments.compute(opened, workers, cluster)


def _path(run: RunOrPath) -> Path:
    from kerasgan.runs.run import Run

    return run.path if isinstance(run, Run) else path_of(run, "run", "A kerasgan.Run is taken, too.")


def _known(modality: Modality | None) -> Modality | None:
    if modality not in ("MR", "CT", None):
        raise ValueError(f"The modality must be 'MR' or 'CT'; got {modality!r}.")
    return modality


def _text(series: str | int | None) -> str | None:
    return None if series is None else str(series)


def _optional(path: str | Path | None, what: str) -> Path | None:
    return None if path is None else path_of(path, what)
