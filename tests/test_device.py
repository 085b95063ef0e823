"""Precision and compilation are chosen for the machine."""

import keras
import pytest
import tensorflow as tf

from kerasgan import device


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends a machine: processor flags and GPUs by compute capability."""

    def pretend(flags: str | None = None, gpus: tuple = ()):
        cpuinfo = tmp_path / "cpuinfo"
        if flags is not None:
            cpuinfo.write_text(f"processor : 0\nflags : fpu {flags} sse\n")
        monkeypatch.setattr(device, "Path", lambda _: cpuinfo)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(gpus))
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu} if gpu else {}
        )

    return pretend


@pytest.mark.parametrize(
    ("flags", "gpus", "policy"),
    [
        ("avx2", (), "float32"),
        ("avx512_bf16", (), "mixed_bfloat16"),
        ("amx_bf16 amx_tile", (), "mixed_bfloat16"),
        (None, (), "float32"),  # no /proc/cpuinfo, as on macOS
        ("amx_bf16", ((7, 5),), "float32"),  # the GPU decides
        ("avx2", ((8, 0),), "mixed_bfloat16"),
        ("avx2", ((9, 0), (7, 0)), "float32"),
        ("avx2", (None,), "float32"),
    ],
)
def test_automatic_precision_follows_the_hardware(machine, flags, gpus, policy):
    machine(flags, gpus)
    assert device.resolve_precision("auto") == policy


def test_a_named_precision_is_kept(machine):
    machine("avx2")
    assert device.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"


def test_xla_on_gpu_only(machine):
    machine("avx2")
    assert not device.uses_xla()
    machine("avx2", ((8, 0),))
    assert device.uses_xla()


def test_policy_is_put_back_even_after_an_error():
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError), device.dtype_policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == before
