"""What is exported for 3D Slicer, in a made-up Slicer; `made_up_slicer` says whose interface that follows."""

import ast
import json
import runpy
import subprocess
import sys
from pathlib import Path

import made_up_slicer
import numpy as np
import pytest
import SimpleITK as sitk
from tiny import request, write_head
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import ExportError
from kerasgan.export import export_slicer
from kerasgan.io.nifti import read_image
from kerasgan.scans.geometry import oriented
from kerasgan.training.train import train
from kerasgan.translation.of_onnx import OnnxTranslator

RAS = np.diag([-1.0, -1, 1, 1])

# Slicer's Python has NumPy, SciPy and SimpleITK, and what install.py puts there; no other package of kerasgan.
WORKER = """
import json, sys
sys.modules.update(dict.fromkeys(["tensorflow", "keras", "pydicom", "skimage", "matplotlib", "typer", "filelock"]))
sys.path.insert(0, sys.argv[1])
import made_up_slicer, numpy as np
from pathlib import Path
extension = Path(sys.argv[2])
made_up_slicer.install(extension)
sys.path.insert(0, str(extension / "ModalityConverterLib" / "ModelsImpl"))
key = sys.argv[3]
__import__(key)
model = made_up_slicer.MODEL_REGISTRY[key](key, "cpu")
model.loadModel()
given, made = made_up_slicer.Array(np.load(sys.argv[4])), made_up_slicer.Array()
model.runInference(inputVolume=given, inputMask=None, outputVolume=made, showAllFiles=True)
np.save(sys.argv[5], made.array)
print(json.dumps(model.told))
"""


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """24 heads on cubes of 8 mm, of whom ten a domain train, enough for an input gate."""
    root = tmp_path_factory.mktemp("heads")
    for seed in range(24):
        write_head(root / f"1BA{seed:03d}", seed, (4, 30, 24))
    for path in root.rglob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        image.SetSpacing((8.0, 8.0, 8.0))
        sitk.WriteImage(image, str(path))
    return root


@pytest.fixture(scope="module")
def exported(heads, tmp_path_factory):
    """What the command writes of a run of two steps."""
    folder = tmp_path_factory.mktemp("slicer")
    train(request(heads, "schedule.steps=2"), folder / "run")
    words = ["export", str(folder / "run"), str(folder / "out"), "--format", "slicer"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Wrote" in result.output and "MAE to Keras" in result.output
    return folder / "out"


@pytest.fixture
def slicer(monkeypatch, exported, tmp_path):
    """A made-up Slicer with the extension, into which the export was installed as its README says."""
    for name in ("slicer", "slicer.ScriptedLoadableModule", "vtk", "qt", "ctk", "ModalityConverterLib"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "ModalityConverterLib.ModelBase", None)
    slicer = made_up_slicer.install(made_up_slicer.write_extension(tmp_path / "extension"))
    runpy.run_path(str(exported / "ModalityConverter" / "install.py"), run_name="__main__")
    return slicer


def key_of(exported):
    [model] = (exported / "ModalityConverter").glob("*.onnx")
    return model.stem


def open_model(exported, folder):
    """The model as the extension opens it in Slicer itself."""
    key = key_of(exported)
    runpy.run_path(str(folder / "ModalityConverterLib" / "ModelsImpl" / f"{key}.py"))
    model = made_up_slicer.MODEL_REGISTRY.pop(key)(key)
    model.loadModel()
    return model


def test_the_export_is_whole_and_its_code_is_python(exported):
    key = key_of(exported)
    names = sorted(path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file())
    converter = [f"ModalityConverter/{name}" for name in ("install.py", f"{key}.json", f"{key}.onnx", f"{key}.py")]
    assert names == ["Kerasgan/Kerasgan.py", *converter, "ModalityConverter/metadata.json", "README.md"]
    for path in exported.rglob("*.py"):
        assert "@KE" not in path.read_text() and ast.parse(path.read_text())
    assert len((exported / "Kerasgan" / "Kerasgan.py").read_text().splitlines()) < 150
    [(entry_key, entry)] = json.loads((exported / "ModalityConverter" / "metadata.json").read_text()).items()
    assert entry_key == entry["module_name"] == key.lower() and "8 mm" in entry["description"]
    assert "cubes of\n8 mm" in (exported / "README.md").read_text()


def test_install_leaves_other_models_as_they_are(slicer, exported, tmp_path):
    listed = json.loads((tmp_path / "extension/Resources/Models/metadata.json").read_text())
    assert sorted(listed) == sorted(["other", key_of(exported)])
    assert any(words.startswith("--no-deps kerasgan==") for words in slicer.installed)
    assert not any("SimpleITK" in words for words in slicer.installed)  # Slicer's own has more in it


def test_a_volume_of_slicer_is_translated_as_its_geometry_says(slicer, exported, heads, tmp_path):
    mr = read_image(heads / "1BA000" / "mr.nii.gz", "MR")
    expected = OnnxTranslator(exported / "ModalityConverter" / f"{key_of(exported)}.onnx").translate(mr).volume
    sagittal = oriented(mr, "PIR")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = sagittal.direction * sagittal.spacing_mm, sagittal.origin_mm
    given, made = made_up_slicer.Node(sagittal.array, RAS @ affine), made_up_slicer.Node()
    open_model(exported, tmp_path / "extension").runInference(inputVolume=given, outputVolume=made)
    assert made.affine is given.affine and np.ptp(expected.array) > 100
    np.testing.assert_allclose(made.array, oriented(expected, "PIR").array, atol=0.05)
    assert given.array is sagittal.array and np.array_equal(oriented(mr, "PIR").array, given.array)


def worker(exported, folder, array):
    """The extension's worker, a process of its own; what it writes, and what it says."""
    np.save(folder / "given.npy", array.astype(np.float32))
    places = [folder / "extension", key_of(exported), folder / "given.npy", folder / "made.npy"]
    words = [sys.executable, "-c", WORKER, str(Path(made_up_slicer.__file__).parent), *map(str, places)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_worker_takes_what_was_resampled(slicer, exported, heads, tmp_path):
    array = read_image(heads / "1BA000" / "mr.nii.gz", "MR").array
    done = worker(exported, tmp_path, array)
    assert done.returncode == 0, done.stderr
    assert "Taking each voxel as a cube of 8 mm" in json.loads(done.stdout.splitlines()[-1])[0]
    made = np.load(tmp_path / "made.npy")
    assert made.shape == array.shape and np.ptp(made) > 100


@pytest.mark.parametrize("change", ["too small voxels", "another plane"])
def test_the_worker_refuses_what_was_not(slicer, exported, heads, tmp_path, change):
    mr = read_image(heads / "1BA000" / "mr.nii.gz", "MR")
    other = mr.array.transpose(2, 0, 1) if change == "another plane" else np.repeat(np.repeat(mr.array, 2, 1), 2, 2)
    done = worker(exported, tmp_path, other)
    assert done.returncode and "does not say how large the voxels are. As axial slices on cubes of 8 mm" in done.stderr
    assert not (tmp_path / "made.npy").exists()


def test_the_module_runs_the_command_and_shows_what_it_says(slicer, exported, heads, tmp_path):
    """With the program that a user would name, and Slicer's functions that write and read a volume."""
    scan, said, loaded = heads / "1BA000" / "mr.nii.gz", [], []
    module = runpy.run_path(str(exported / "Kerasgan" / "Kerasgan.py"))

    def export_node(node, path):
        made_up_slicer.write_nrrd(scan, path)
        return True

    def load_volume(path, properties):
        loaded.append((read_image(path, "CT"), properties["name"]))
        return made_up_slicer.Node()

    slicer.util.exportNode, slicer.util.loadVolume = export_node, load_volume
    slicer.util.startupEnvironment = lambda: None  # this process's
    program = Path(sys.executable).with_name("kerasgan")
    model = exported / "ModalityConverter" / f"{key_of(exported)}.onnx"
    volume, logic = made_up_slicer.Node(), module["KerasganLogic"]()
    result = logic.translate(volume, str(program), str(model), "MR", said.append)
    [(ct, name)] = loaded
    mr = read_image(scan, "MR")
    np.testing.assert_allclose(ct.array, OnnxTranslator(model).translate(mr).volume.array, atol=0.51)  # whole HU
    assert (name, result.transform) == ("head synthetic", "transform 1") and ct.same_grid(mr)
    assert "Input gate: " in said[-1] and "not for diagnosis" in said[-1]
    with pytest.raises(RuntimeError, match=r"^Error: scan\.nrrd cannot be used: --modality says CT"):
        logic.translate(volume, str(program), str(model), "CT", said.append)
    with pytest.raises(RuntimeError, match=r"nowhere cannot be started .* Name kerasgan's program"):
        logic.translate(volume, str(tmp_path / "nowhere"), str(model), "MR", said.append)
    with pytest.raises(ValueError, match="Choose a volume"):
        logic.translate(None, str(program), str(model))


def test_what_is_not_exported(run, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ExportError, match="there exists and is not overwritten"):
        export_slicer(run.path, tmp_path / "there")
