"""Packaging of kerasgan; everything but the package list is in pyproject.toml."""

from setuptools import find_packages, setup

PAGE = "kerasgan.export.web"  # in a checkout the files of the page lie in the deployment kit

setup(packages=[*find_packages(include=["kerasgan", "kerasgan.*"]), PAGE], package_dir={PAGE: "export/page"})
