"""Packaging of kerasgan; everything but the package list and the description is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PAGE = "kerasgan.export.web"  # in a checkout the files of the page lie in the deployment kit


def description() -> str:
    """The README for a package index, where no file lies beside it: links become names, pictures are left out."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", text)
    named = re.sub(r"\[([^]]+)\]\((?!https?:)([^)#]*)[^)]*\)", r"\1 (`\2`)", text)
    return re.sub(r"(\S+) \(`\1`\)", r"`\1`", named)


setup(
    packages=[*find_packages(include=["kerasgan", "kerasgan.*"]), PAGE],
    package_dir={PAGE: "export/page"},
    long_description=description(),
    long_description_content_type="text/markdown",
)
