"""Packaging of kerasgan; everything but the package list is in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=find_packages(include=["kerasgan", "kerasgan.*"]))
