# `make demo` and `make test` need nothing but Python 3.11 to 3.13: each makes .venv, installs, and does its job.
#
#   make demo                      a made-up patient translated, then a training of minutes, evaluated
#   make demo-long                 the whole way: a training without pairs, exports, a series translated, evaluation
#   make test                      the whole test suite, against the installed package
#   make lint                      ruff and mypy
#   make release                   sdist and wheel in dist/, tried in a bare environment
#   make docs                      the documentation site, in site/, each version in a folder
#   make notebooks                 the notebooks of docs/notebooks, executed anew
#   make demo PYTHON=python3.12    with another interpreter
#   make demo TENSORFLOW=gpu       with CUDA, for an NVIDIA GPU
#   make suite VENV=/some/venv     the test suite in an environment that has the package and its test extra

PYTHON ?= python3
TENSORFLOW ?= cpu
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find kerasgan -name '*.py') $(wildcard export/page/*.*)

.PHONY: demo demo-long test lint docs suite release clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py first-look

demo-long: $(VENV)/installed
	$(BIN)/python examples/demo.py --long demo-long

test: $(VENV)/installed-test
	$(MAKE) suite VENV=$(VENV)

# Not `python -m pytest`, which would put the checkout before the installed package. A worker that crashes ends the run: with
# `loadfile` the others would wait for ever.
suite:
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --max-worker-restart 0

lint: $(VENV)/bin/ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

release:
	PYTHON=$(PYTHON) release/build.sh

docs: $(VENV)/bin/mkdocs
	$(BIN)/python release/site.py

notebooks: $(VENV)/installed-test
	$(BIN)/python docs/notebooks/execute.py

clean:
	rm -rf build dist first-look demo-long site $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# What setuptools left in build/ by an earlier build would get into the package, even files that are gone since.
$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	@echo "Installing kerasgan and what it needs into $(VENV), nowhere else; TensorFlow is the largest of it:"
	@echo "2.2 GB on the disk, about 0.6 GB to download unless pip has it already."
	rm -rf build
	$(BIN)/pip install --quiet '.[$(TENSORFLOW)]'
	touch $@

$(VENV)/installed-test: $(VENV)/bin/python $(SOURCES)
	rm -rf build
	$(BIN)/pip install --quiet '.[$(TENSORFLOW),test]'
	$(BIN)/pip install --quiet --no-deps tensorflow-serving-api
	touch $@ $(VENV)/installed

# Needs no package but its own: the reference is read from the docstrings, which are not run.
$(VENV)/bin/mkdocs: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet $$($(BIN)/python -c "import tomllib; \
	    print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])")
	touch $@

$(VENV)/bin/ruff:
	$(MAKE) $(VENV)/installed-test VENV=$(VENV)
