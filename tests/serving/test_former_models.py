"""A model that kerasgan 0.1.0 exported for serving is served by this version, and gives the same values."""

import hashlib

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.export.bundle import write_warmup
from kerasgan.export.serving_contract import read_serving_contract
from kerasgan.serving import Client, Server, Settings
from kerasgan.serving.models import Store

# Whole HU, which another processor may round to the other side; MR: 0.5 % of the run's range.
CT_HU, MR = 1.0, 0.005 * (323.774 - 55.999)


@pytest.fixture(scope="module")
def former(former):
    """The same folder, completed by the warm-up requests, which the archive leaves out."""
    version = former / "served" / "heads" / "1"
    write_warmup(version / "assets.extra" / "tf_serving_warmup_requests", read_serving_contract(version))
    return former


@pytest.fixture(scope="module")
def server(former):
    with Server(former / "served", Settings(grpc_port=0, rest_port=0)) as started:
        yield started


def test_the_warm_up_requests_are_still_the_same_bytes(former):
    """The archive leaves them out, to be small; their digest is in the model, and the server checks it."""
    extras = former / "served" / "heads" / "1" / "assets.extra"
    (line,) = [line for line in (extras / "SHA256SUMS").read_text().splitlines() if "warmup" in line]
    digest = hashlib.sha256((extras / "tf_serving_warmup_requests").read_bytes()).hexdigest()
    assert line.split() == [digest, "assets.extra/tf_serving_warmup_requests"]


def test_the_contract_is_that_of_0_1_0(server):
    with Client(f"http://127.0.0.1:{server.rest_port}/heads", deadline_s=20) as client:
        described = client.contract()
    assert (described.name, described.version) == ("heads", 1)
    assert {one.kerasgan for one in described.directions.values()} == {"0.1.0"}


@pytest.mark.parametrize(("direction", "source", "limit"), [("ab", "mr", CT_HU), ("ba", "ct", MR)])
def test_translate_by_the_server_gives_the_former_values(server, former, tmp_path, direction, source, limit):
    address = f"grpc://127.0.0.1:{server.grpc_port}/heads"
    words = ["translate", address, str(former / f"{source}.nii.gz"), str(tmp_path / "found.nii.gz")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found, expected = (
        sitk.ReadImage(str(path)) for path in (tmp_path / "found.nii.gz", former / f"expected_{direction}.nii.gz")
    )
    assert found.GetSize() == expected.GetSize()
    np.testing.assert_allclose(found.GetOrigin(), expected.GetOrigin(), atol=1e-3)
    values = [sitk.GetArrayFromImage(image).astype(float) for image in (found, expected)]
    assert np.ptp(values[1]) > 100
    np.testing.assert_allclose(values[0], values[1], atol=limit)
    # N4 of that version is ITK's, in float32, whose field differs by up to 0.13 % on these few pixels.
    assert (np.abs(values[0] - values[1]) > limit / 2).mean() < (0.05 if source == "mr" else 0.001)


def test_an_engine_leaves_a_former_model_to_tensorflow(former, caplog):
    with caplog.at_level("INFO"):
        store = Store(former / "served", "best")
    assert "was exported by a former version; TensorFlow computes it in float32" in caplog.text
    assert store.names()
