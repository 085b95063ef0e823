"""A run as one file: the same translation, a card for hubs, and nothing of a person."""

import json
import zipfile

import numpy as np
import pytest

import kerasgan
from kerasgan.errors import ExportError, RunError
from kerasgan.export.packing import pack
from kerasgan.files import file_digest
from kerasgan.io import read_volume
from kerasgan.networks.generators import resnet
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.translation.translate import open_translator


@pytest.fixture
def packed(run, tmp_path):
    return pack(run.path, tmp_path / "mr2ct.kgan")


def test_a_pack_translates_as_its_run(run, packed, data_dir, patients):
    scan = data_dir / patients["val"][0]
    mr = read_volume(scan / "mr.mha", modality="MR")
    for volume in (mr, read_volume(scan / "ct.mha", modality="CT")):
        wanted = kerasgan.translate_volume(run, volume)
        shown = kerasgan.translate_volume(packed, volume)
        np.testing.assert_array_equal(shown.array, wanted.array)


def test_the_expected_error_goes_along_with_a_generator_that_is_written_anew(run, tmp_path):
    """The file of a former version, which names kerasgan's layers, becomes another one with another digest."""
    path = run.generator_path("ab")
    resnet(filters=4, blocks=1, name="generator_ab").save(path)
    measured = ExpectedError(patients=9, part="test", weights=file_digest(path), table=((10.0,) * 6,) * 6)
    (run.path / "expected-error-ab.json").write_text(measured.model_dump_json())
    opened = open_translator(pack(run.path, tmp_path / "model.kgan"))
    found = opened.contract("ab").expected_error
    assert found.table == measured.table and found.weights != measured.weights
    images = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype("float32")
    np.testing.assert_array_equal(opened.generator("ab")(images), run.generator("ab")(images))


def test_the_card_is_that_of_a_hub(packed, run):
    with zipfile.ZipFile(packed) as archive:
        card = archive.read("README.md").decode()
        contract = json.loads(archive.read("contract-ab.json"))
    head, text = card.removeprefix("---\n").split("\n---\n", 1)
    assert "license: cc-by-nc-4.0" in head.splitlines() and "pipeline_tag: image-to-image" in head.splitlines()
    for word in ("# mr2ct: synthetic, not for diagnosis", "CC BY-NC 4.0", run.facts.fingerprint, "Not evaluated"):
        assert word in text
    assert "kerasgan translate mr2ct.kgan INPUT OUTPUT" in text
    assert (contract["generator"], contract["target"]["unit"]) == ("ab-best.keras", "HU")
    assert contract["generator_sha256"] == file_digest(run.generator_path("ab"))


def test_data_of_ones_own_has_no_licence_that_a_hub_knows(run, tmp_path):
    facts = run.facts.model_copy(update={"dataset": "/home/someone/clinic.py"})
    (run.path / "run.json").write_text(facts.model_dump_json())
    with zipfile.ZipFile(pack(run.path, tmp_path / "own.kgan")) as archive:
        content = {name: archive.read(name).decode("latin-1") for name in archive.namelist()}
    head = content["README.md"].split("\n---\n")[0].splitlines()
    assert "license: other" in head and 'license_name: "that of your data"' in head
    assert not any("someone" in text for text in content.values())


def test_nothing_of_a_person_is_packed(packed, run, patients):
    content = b""
    with zipfile.ZipFile(packed) as archive:
        for name in archive.namelist():
            content += archive.read(name)
    keys = {key for domains in run.split().values() for part in domains.values() for key in part}
    for secret in (*keys, *(name for part in patients.values() for name in part), str(run.path), run.facts.data_dir):
        assert secret.encode() not in content


def test_the_same_run_is_the_same_file(packed, run, tmp_path):
    (tmp_path / "again").mkdir()
    assert file_digest(pack(run.path, tmp_path / "again" / "mr2ct.kgan")) == file_digest(packed)


def test_what_cannot_be_packed(run, packed, tmp_path):
    with pytest.raises(ExportError, match=r"A pack is one file; got .*model\.zip\. .* ends in \.kgan"):
        pack(run.path, tmp_path / "model.zip")
    with pytest.raises(ExportError, match=r"mr2ct\.kgan exists and is not overwritten"):
        pack(run.path, packed)
    with pytest.raises(RunError, match=r"A pack translates, kerasgan translate .*, kerasgan evaluate .*mr2ct\.kgan"):
        kerasgan.load_run(packed)
    (run.path / "generators" / "ab-last.keras").write_bytes(b"")
    with pytest.raises(RunError, match=r"ab-last\.keras cannot be used"):
        pack(run.path, tmp_path / "damaged.kgan")
    assert not (tmp_path / "damaged.kgan").exists()
