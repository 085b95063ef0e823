"""Translation in several planes: where each slice comes from and goes to, what is fused, and the mirrored slices."""

import json
import shutil

import numpy as np
import pytest
from tiny import write_head

from kerasgan.errors import KerasganError
from kerasgan.export import export_tflite
from kerasgan.io import read_image
from kerasgan.scans.contract import Contract, Side
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.translate import translate_volume
from kerasgan.translation.translator import Translator

ALL = ("axial", "coronal", "sagittal")
WINDOW = (-1000.0, 1000.0)


class Made(Translator):
    """A model from CT to CT-like values that a function of the slices gives; it keeps what it was asked."""

    name = "made"

    def __init__(self, function, planes=ALL, size=16):
        self.function, self.asked = function, []
        side = Side(modality="CT", unit="HU", window=WINDOW)
        facts = {"quick": False, "direction": "ab", "anatomy": "", "mr_scaling": None, "signatures": {}}
        facts |= {"weights": "float32", "kerasgan": "0", "recipe": "", "data_fingerprint": "", "generator": ""}
        self.made = Contract(
            source=side,
            target=side,
            pixel_mm=2.0,
            trained_height_width=(size, size),
            planes=planes,
            generator_sha256="",
            **facts,
        )

    def sources(self):
        return {"ab": "CT"}

    def contract(self, direction):
        return self.made

    def predict(self, direction, images, maps):
        self.asked.append(images[0, ..., 0])
        return self.function(images)


def cubes(shape=(16, 20, 24)):
    """Tissue everywhere, another value in each voxel."""
    values = np.random.default_rng(0).uniform(-200, 900, shape).astype(np.float32)
    return Volume(values, (2.0, 2.0, 2.0), modality="CT")


@pytest.mark.parametrize("code", ["LPS", "PIR", "RAI"])
def test_each_plane_shows_its_slices_upright_and_puts_them_back_where_they_were(code):
    volume, model = cubes(), Made(lambda images: 1000 * images)
    synthetic = model.translate(oriented(volume, code)).volume
    np.testing.assert_allclose(oriented(synthetic, "LPS").array, volume.array, atol=1e-3)
    networks = volume.array / 1000
    axial, coronal, sagittal = model.asked[0], model.asked[16], model.asked[16 + 20]
    np.testing.assert_allclose(axial, networks[0], atol=1e-6)
    np.testing.assert_allclose(coronal, networks[::-1, 0], atol=1e-6)  # head up, the patient's right on the left
    np.testing.assert_allclose(sagittal, networks[::-1, :, -1], atol=1e-6)  # head up, from the left, face to the left
    assert len(model.asked) == 16 + 20 + 24


@pytest.mark.parametrize(
    ("planes", "expected"), [(ALL, 300), (("axial", "coronal"), 500), (("sagittal",), 300), (("axial",), 100)]
)
def test_planes_are_fused_by_the_median_and_two_of_them_by_the_mean(planes, expected):
    by_shape = {(20, 24): 100, (16, 24): 900, (16, 20): 300}  # axial, coronal, sagittal
    model = Made(lambda images: np.full_like(images, by_shape[images.shape[1:3]]), planes)
    np.testing.assert_allclose(model.translate(cubes())[0].array, expected)


def test_thick_slices_are_cut_on_cubes_and_put_back_thick():
    thick = Volume(np.repeat(np.arange(10.0), 20 * 24).reshape(10, 20, 24) * 50, (2.0, 2.0, 4.0), modality="CT")
    model = Made(lambda images: 1000 * images)
    synthetic = model.translate(thick).volume
    assert synthetic.same_grid(thick)
    np.testing.assert_allclose(synthetic.array, thick.array, atol=13)  # a quarter of the step, at the ends
    assert model.asked[20].shape == (20, 24) and len(model.asked) == 20 + 20 + 24


def test_a_stack_too_thin_to_be_cut_is_translated_as_acquired():
    model = Made(lambda images: 1000 * images)
    thin = cubes((3, 20, 24))
    np.testing.assert_allclose(model.translate(thin)[0].array, thin.array, atol=1e-3)
    assert [image.shape for image in model.asked] == [(20, 24)] * 3


@pytest.mark.parametrize("shape", [(16, 20, 1), (1, 16, 20)])  # as slices of a volume, and as a picture
def test_a_single_slice_has_its_own_plane_alone(shape):
    sagittal = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]) if shape[0] == 1 else np.eye(3)
    values = cubes((16, 20, 1)).array
    stored = values if shape[0] == 16 else values[::-1].reshape(shape)
    volume, model = Volume(stored, (2.0, 2.0, 2.0), direction=sagittal, modality="CT"), Made(lambda image: 1000 * image)
    synthetic = model.translate(volume).volume
    assert synthetic.same_grid(volume)
    np.testing.assert_allclose(synthetic.array, stored, atol=1e-3)
    np.testing.assert_allclose(model.asked[0], values[::-1, :, 0] / 1000, atol=1e-6)
    assert len(model.asked) == 1
    with pytest.raises(KerasganError, match=r"It is one sagittal slice, and the networks see axial slices\. Name ano"):
        Made(None, planes=("axial",)).translate(volume)


def test_flip_is_the_mean_with_what_the_mirrored_slice_gives():
    ramp = np.linspace(0, 1, 24)[:, None].astype(np.float32)
    volume, model = cubes(), Made(lambda images: 1000 * images * ramp, planes=("axial",))
    plain, flipped = (model.translate(volume, flip=flip)[0].array for flip in (False, True))
    np.testing.assert_allclose(plain, volume.array * ramp[:, 0], atol=1e-3)
    np.testing.assert_allclose(flipped, volume.array / 2, atol=1e-3)  # ramp and mirrored ramp add up to 1


def test_flip_leaves_sagittal_slices_as_they_are():
    """Sixteen axial slices [20, 24] and twenty coronal ones [16, 24] are asked about twice, 24 sagittal ones once."""
    model = Made(lambda images: 1000 * images)
    model.batch_size = 1
    model.translate(cubes(), flip=True)
    assert [image.shape for image in model.asked] == [(20, 24)] * 32 + [(16, 24)] * 40 + [(16, 20)] * 24


def test_more_voxels_than_memory_are_refused():
    tall = Volume(np.zeros((2100, 16, 16), np.float32), (2.0, 2.0, 2.0), modality="CT")
    with pytest.raises(KerasganError, match=r"its 16 slices have 2100 x 16 pixels, expected at most 2048 a side"):
        Made(None).translate(tall)


def test_a_contract_of_axial_slices_is_that_of_former_clients():
    axial, three = Made(None, planes=("axial",)).made, Made(None).made
    assert "planes" not in axial.model_dump()
    assert Contract.model_validate_json(axial.model_dump_json()) == axial
    assert Contract.model_validate_json(three.model_dump_json()).planes == ALL


def test_a_run_of_three_planes_and_its_tflite_file_translate_alike(run, heads, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(run.path, path)
    planes = f'"planes": {json.dumps(ALL)}, '
    for name, before in (("run.json", '"windows_from"'), ("recipe.json", '"training_patients"')):
        (path / name).write_text((path / name).read_text().replace(before, planes + before))
    model = export_tflite(path, tmp_path / "model.tflite", "ab", data_dir=heads)
    assert TFLiteTranslator(model).contract("ab").planes == ALL
    write_head(tmp_path / "tall", 0, shape=(30, 40, 32))
    mr = read_image(tmp_path / "tall" / "mr.nii.gz", "MR")
    by_run, by_file, axial = (translate_volume(one, mr).array for one in (path, model, run.path))
    np.testing.assert_allclose(by_file, by_run, atol=0.05)
    assert np.abs(axial - by_run).max() > 1
