"""A command line to call, scans of a few voxels, and runs that were never trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from typer.testing import CliRunner

from kerasgan import config, io
from kerasgan.cli import app
from kerasgan.runs.run import RunFacts, create_run
from kerasgan.scans.preparation import preparation
from kerasgan.scans.volume import Volume

SIDE, SLICES = 40, 5


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A folder in place of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "kerasgan"


@pytest.fixture
def kerasgan(tmp_path, monkeypatch):
    """Runs a command in `tmp_path`, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def refused(kerasgan):
    """Runs a command that has to end with 2 and one line about an error, and returns that line."""

    def call(*arguments: object) -> str:
        result = kerasgan(*arguments)
        assert result.exit_code == 2, result.output
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1 and "Traceback" not in result.output, result.output
        assert result.stderr.rstrip().endswith(errors[0]), result.stderr
        return errors[0]

    return call


def _head(modality: str, seed: int = 0) -> Volume:
    """A ball of tissue with a denser core, in air."""
    z, y, x = np.ogrid[-1 : 1 : SLICES * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    distance = np.sqrt((z / 2) ** 2 + y**2 + x**2)
    air, tissue, core = (-1000, 40, 900) if modality == "CT" else (0, 300, 150)
    array = np.where(distance < 0.4, core, np.where(distance < 0.8, tissue, air)).astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 20, array.shape).astype(np.float32)
    return Volume(array + noise * (distance < 0.8), spacing_mm=(6.0, 6.0, 4.0), modality=modality)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def head() -> Callable[..., Volume]:
    """Makes the head of a seed, in MR or in CT."""
    return _head


@pytest.fixture
def write_nifti() -> Callable[..., Path]:
    """Writes a head as NIfTI."""

    def write(path: Path, modality: str, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write_image(_head(modality, seed), path)
        return path

    return write


@pytest.fixture
def write_dicom() -> Callable[..., list[Path]]:
    """Writes a head as a DICOM series, one file a slice."""

    def write(folder: Path, modality: str, patient: str = "Doe-4711", **tags: object) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        uids = [generate_uid() for _ in range(3)]
        array = np.rint(_head(modality).array).astype(np.int16)
        return [_write_slice(folder, modality, patient, uids, number, array, tags) for number in range(SLICES)]

    return write


def _write_slice(
    folder: Path, modality: str, patient: str, uids: list[str], number: int, array: np.ndarray, tags: dict[str, object]
) -> Path:
    image = pydicom.Dataset()
    image.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uids
    image.PatientName, image.PatientID, image.Modality = "Doe^Jane", patient, modality
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.InstanceNumber = number + 1
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [-117, -117, 4 * number]
    image.PixelSpacing, image.SliceThickness = [6, 6], 4
    image.Rows = image.Columns = SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    for keyword, value in tags.items():
        setattr(image, keyword, value)
    image.RescaleIntercept, image.RescaleSlope = 0, 1
    image.PixelData = array[number].tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{number}.dcm"
    image.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def two_folders(tmp_path, write_nifti) -> Path:
    """A dataset for `--dataset folder`: three MR patients in `a`, three CT patients in `b`."""
    root = tmp_path / "scans"
    for number in range(3):
        write_nifti(root / "a" / f"mr{number}.nii.gz", "MR", number)
        write_nifti(root / "b" / f"ct{number}.nii.gz", "CT", number + 3)
    return root


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Options by which the networks of a training have a few weights, and its slices few pixels."""
    settings = {
        **{"data.size": 32, "generator.filters": 4, "generator.blocks": 1, "discriminator.filters": 4},
        **{"data.batch_size": 1, "precision": "float32"},
    }
    return [word for path, value in settings.items() for word in ("--set", f"{path}={value}")]


@pytest.fixture(scope="session")
def tiny(small) -> list[str]:
    """Options of a training of two steps, with networks of a few weights."""
    settings = {
        **{"schedule.steps": 2, "schedule.report_every": 1},
        **{"schedule.checkpoint_every": 1, "schedule.preview_every": 2},
    }
    return small + [word for path, value in settings.items() for word in ("--set", f"{path}={value}")]


@pytest.fixture
def untrained_run(tmp_path) -> Path:
    """A run directory from MR to CT that holds no weights."""
    recipe = config.Recipe(name="small")
    facts = RunFacts(
        kerasgan="0",
        dataset="folder",
        data_dir=str(tmp_path / "scans"),
        anatomy="",
        paired=False,
        modalities={"a": "MR", "b": "CT"},
        seed=0,
        preparation=preparation(recipe, "", None, 256.0),
        maps={"a": (0.0, 300.0), "b": (-1000.0, 1600.0)},
        precision="float32",
        xla=False,
        fingerprint="",
    )
    split = {part: {"a": [], "b": []} for part in ("train", "validation", "test")}
    return create_run(tmp_path / "run", recipe, facts, split).path
