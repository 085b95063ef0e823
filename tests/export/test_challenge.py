"""The folder of a container for a challenge, whose wheel is that of the installed package."""

import subprocess
import sys
from importlib import metadata

import pytest

from kerasgan.errors import ExportError
from kerasgan.export.challenge import MODEL, synthrad_folder, write_wheel
from kerasgan.translation.translate import open_translator

IS_A_CHECKOUT = any("__editable__" in str(file) for file in metadata.distribution("kerasgan").files or ())


@pytest.mark.skipif(not IS_A_CHECKOUT, reason="needs an installation from a checkout")
def test_a_checkout_makes_no_wheel(tmp_path):
    with pytest.raises(ExportError, match=r"installed from a checkout \(-e\).* Install it by pip install"):
        write_wheel(tmp_path)


@pytest.mark.skipif(IS_A_CHECKOUT, reason="an editable install makes no wheel; .ci/run and `make test` check it")
def test_the_folder_holds_a_wheel_that_installs_and_a_pack_that_opens(run, tmp_path):
    folder = synthrad_folder(run.path, tmp_path / "entry")
    (wheel,) = folder.glob("*.whl")
    assert sorted(path.name for path in folder.iterdir()) == sorted(["Dockerfile", "README.md", MODEL, wheel.name])
    words = (folder / "Dockerfile").read_text()
    assert f"COPY {wheel.name} /tmp/" in words and f'"kerasgan.translation.synthrad", "/opt/algorithm/{MODEL}"' in words
    assert "USER algorithm" in words and "{" not in words
    assert open_translator(folder / MODEL).sources() == {"ab": "MR", "ba": "CT"}
    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    program = "import kerasgan; print(kerasgan.__file__, kerasgan.__version__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=place, check=True)
    assert done.stdout.split() == [str(place / "kerasgan" / "__init__.py"), metadata.version("kerasgan")]
    with pytest.raises(ExportError, match=r"entry exists and is not overwritten"):
        synthrad_folder(run.path, tmp_path / "entry")
