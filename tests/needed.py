"""What tests need beside the packages of the extra `test`, such as a browser."""

import importlib
import os
import shutil
import sysconfig

import pytest


def needed(found, reason):
    """Returns what was found; without it the test is skipped, but fails in CI, where `.ci/run` installs everything."""
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


def program(*names, package):
    """Returns the path of the first program that is installed; `package` is what Debian calls it."""
    # Not of an activated environment, where pynetdicom's `storescu` would stand before DCMTK's.
    folders = os.pathsep.join(folder for folder in os.get_exec_path() if folder != sysconfig.get_path("scripts"))
    found = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
    return needed(found, f"{names[0]} is missing: apt install {package}")


def official(name):
    """Returns a module of tensorflow-serving-api, which no extra can name, as it asks for the package `tensorflow`."""
    if not os.environ.get("CI"):
        pytest.importorskip("tensorflow_serving", reason="pip install --no-deps tensorflow-serving-api")
    return importlib.import_module(f"tensorflow_serving.{name}")
