# `make demo` and `make test` set up all they need by themselves; nothing is installed outside .venv,
# but for `make system`, which adds the Debian parts that some tests use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_OUT ?= demo-out
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format faults docs figures system clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with everything a workstation needs

# torch comes first and alone: its CPU build is much smaller than the one that other packages would pull in.
$(STAMP): pyproject.toml setup.py requirements/workstation.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'
	$(BIN)/python -m pip install --quiet --constraint requirements/workstation.txt torch
	$(BIN)/python -m pip install --quiet --constraint requirements/workstation.txt --editable '.[train,export,dev]'
	touch $(STAMP)

demo: $(STAMP)  ## the whole job on a drawn part, in under four minutes
	rm -rf $(DEMO_OUT)
	$(BIN)/edgetl demo --out $(DEMO_OUT)

test: $(STAMP)  ## every test; those whose parts are missing skip and say what to do
	$(PYTEST)

test-all: test  ## the same, and the slow tests on emulated devices

faults: $(STAMP)  ## run the tests and write docs/faults.md from their outcomes
	$(PYTEST) --fault-table docs/faults.md

docs: $(STAMP)  ## write docs/cli.md from the commands
	$(BIN)/python docs/write_cli.py

figures: $(STAMP)  ## the README's figures on real pictures; needs $$EDGETL_DATA, about half an hour
	rm -rf build/figures && mkdir -p build/figures
	$(BIN)/python -m edgetl.benchmarks.real_pictures build/figures/real
	$(BIN)/python -m edgetl.benchmarks.export_cost build/figures/export
	$(BIN)/python -m edgetl.benchmarks.overlap build/figures/real/trashnet.edgetl
	$(BIN)/python -m edgetl.benchmarks.device_start build/figures/real/trashnet.edgetl

lint: $(STAMP)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy typecheck/edgetl
	PYTHONPATH=typecheck $(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

system:  ## Debian packages that some tests use; where the user may not install, they skip
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends ffmpeg >/dev/null; \
	else echo "make system: needs root and apt-get; the tests that use ffmpeg will skip"; fi

clean:
	rm -rf $(VENV) build dist demo-out *.egg-info .mypy_cache .ruff_cache .pytest_cache
