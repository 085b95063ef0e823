# `make demo` and `make test` need nothing but Python 3.11 to 3.13: each makes .venv, installs, and does its job.
#
#   make demo                      phantom, quick training, exports, one series translated, evaluation
#   make test                      the whole test suite, against the installed package
#   make lint                      ruff and mypy
#   make docs                      the documentation site, in site/
#   make demo PYTHON=python3.12    with another interpreter
#   make suite VENV=/some/venv     the test suite in an environment that has the package and its test extra

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find kerasgan -name '*.py') $(wildcard export/page/*.*)

.PHONY: demo test lint docs suite clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py demo

test: $(VENV)/installed-test
	$(MAKE) suite VENV=$(VENV)

# Not `python -m pytest`, which would put the checkout before the installed package.
suite:
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/bin/ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Strict: a link that leads nowhere ends the build.
docs: $(VENV)/bin/mkdocs
	DISABLE_MKDOCS_2_WARNING=true NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

clean:
	rm -rf build dist demo site $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# What setuptools left in build/ by an earlier build would get into the package, even files that are gone since.
$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	rm -rf build
	$(BIN)/pip install --quiet .
	touch $@

$(VENV)/installed-test: $(VENV)/bin/python $(SOURCES)
	rm -rf build
	$(BIN)/pip install --quiet '.[test]'
	touch $@ $(VENV)/installed

# Needs no package but its own: the reference is read from the docstrings, which are not run.
$(VENV)/bin/mkdocs: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet $$($(BIN)/python -c "import tomllib; \
	    print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])")
	touch $@

$(VENV)/bin/ruff:
	$(MAKE) $(VENV)/installed-test VENV=$(VENV)
