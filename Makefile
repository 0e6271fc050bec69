# Every target works on a fresh clone: the virtual environment makes itself.
VENV   ?= .venv
PYTHON ?= python3
PY      = $(VENV)/bin/python
READY   = $(VENV)/.ready
DEV     = $(VENV)/.dev
SOURCES = $(wildcard ext/*.pyx ext/*.pxd emulator/kernels/*.pxd) setup.py pyproject.toml

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */|/' | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

run: $(READY)    ## classify handwritten digits on an emulated Loihi: spikes, cycles, energy
	$(PY) programs/digits.py

test: $(DEV)     ## run every test, on up to four processors
	$(PY) -m pytest -q -n auto --maxprocesses=4

slow: $(DEV)     ## run the tests that take minutes and gigabytes: the full chip
	$(PY) -m pytest -q -m slow

check: $(DEV)    ## lint, format, types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/cython-lint ext emulator/kernels

format: $(DEV)   ## let ruff format and sort the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(DEV)    ## time everything against bare loops: a table, and JSON to compare (2 minutes, 4 GB)
	$(PY) -m pytest tests/benchmarks -o addopts="--import-mode=importlib" --benchmark-only --benchmark-autosave --benchmark-columns=median,rounds -s

build: $(DEV)    ## recompile the kernels that changed
	$(PY) setup.py -q build_ext --inplace

wheel-check:     ## install a wheel and an sdist into empty environments, and try both from elsewhere (3 minutes)
	$(PYTHON) tests/wheel_check.py

ci: check test wheel-check ## what CI runs

clean:           ## remove everything that was built
	rm -rf build $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f emulator/kernels/*.so emulator/kernels/*.c

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): $(SOURCES) | $(VENV)/bin/python
	@echo 'installing and building: about a minute'
	$(PY) -m pip install --quiet -e .
	@touch $@

$(DEV): $(SOURCES) | $(VENV)/bin/python
	@echo 'installing and building, with what tests need: one to two minutes'
	$(PY) -m pip install --quiet -e '.[dev]'
	@touch $@ $(READY)

.PHONY: help run test slow check format bench build wheel-check ci clean
.DEFAULT_GOAL := help
