"""A run on two devices: it says so, and resumes on as many to the last bit."""

import dataclasses
import shutil

import numpy as np
import pytest
from tiny import assert_same_checkpoint, copy_after, newest_checkpoint, request, write_heads

from kerasgan.errors import KerasganError
from kerasgan.training.request import Request
from kerasgan.training.train import train

FCN = (
    *("generator.name=fcn", "generator.filters=4", "generator.downsamplings=2", "data.batch_size=2"),
    *("discriminator.name=fcn", "discriminator.filters=4", "discriminator.downsamplings=3"),
)


@pytest.mark.slow
def test_a_run_on_two_devices_resumes_on_as_many_to_the_last_bit_and_says_what_differs_on_one(
    tmp_path, monkeypatch, caplog, two_replicas
):
    data, out, cut = write_heads(tmp_path / "heads"), tmp_path / "run", tmp_path / "cut"
    with monkeypatch.context() as patch, caplog.at_level("INFO", "kerasgan"):
        copy_after(patch, 4, out, cut)
        run = train(request(data, *FCN, devices=2), out)
    assert run.facts.replicas == 2
    assert "on 2 devices without XLA" in caplog.text
    assert "The devices share each batch of 2 images of a domain, 1 on each." in caplog.text
    shutil.copytree(cut, alone := tmp_path / "alone")
    train(Request(data_dir=data, devices=2), cut, resume=True)
    assert "The run was begun on" not in caplog.text
    assert_same_checkpoint(cut, out)
    for name in ("history.csv", "validation.csv"):
        assert (cut / name).read_text() == (out / name).read_text()
    train(Request(data_dir=data), alone, resume=True)
    assert "The run was begun on 2 devices and goes on on 1: batches, random numbers and image pools" in caplog.text
    found, expected = newest_checkpoint(alone), newest_checkpoint(out)
    for name in expected:
        if name.startswith("pool/"):  # the same images are in the same places
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=0.05, err_msg=name)


def test_what_cannot_be_shared_or_is_no_device_is_refused(tmp_path):
    data = write_heads(tmp_path / "heads", count=1)
    with pytest.raises(KerasganError, match=r"2 devices cannot share batches of 1, .*Use --set data\.batch_size=2, or"):
        train(request(data, devices=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for devices in (0, -1, (), (1, 1)):
        with pytest.raises(ValueError, match="devices must be how many to use, or the numbers of GPUs"):
            dataclasses.replace(request(data), devices=devices)
