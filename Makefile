# `make demo` and `make test` set up all they need by themselves; nothing is installed outside .venv,
# but for `make system`, which adds the Debian parts that some tests use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_OUT ?= demo-out
PYTEST := $(BIN)/python -m pytest
# Real servers, cameras and processes on a shared machine: in CI a test that failed has one more try, and the summary names it.
AGAIN := $(if $(CI),--reruns 1 --durations 20)
# These compute, mostly in one thread, and so share two cores; the others watch clocks, cameras and servers, and want them alone.
COMPUTING := tests/trainer tests/exporter tests/cli tests/benchmarks
TOGETHER := -n 2 --dist loadfile $(COMPUTING)
ALONE := $(COMPUTING:%=--ignore=%) tests
LONG := EDGETL_EMULATED=1 EDGETL_LONG=1 EDGETL_RECONNECTIONS=10000
EMULATION_PARTS := qemu-user-static binfmt-support mmdebstrap systemd-container qemu-system-arm qemu-utils ipxe-qemu \
  e2fsprogs cpio zstd kmod busybox-static mtools dosfstools fdisk openssh-client openssh-server cloud-init

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format faults docs figures bench system clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with everything a workstation needs

# torch comes first and alone: its CPU build is much smaller than the one that other packages would pull in.
$(STAMP): pyproject.toml setup.py requirements/workstation.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'
	$(BIN)/python -m pip install --quiet --constraint requirements/workstation.txt torch
	$(BIN)/python -m pip install --quiet --constraint requirements/workstation.txt --editable '.[train,export,line,dev]'
	touch $(STAMP)

demo: $(STAMP)  ## the whole job on a drawn part, in under four minutes
	rm -rf $(DEMO_OUT)
	$(BIN)/edgetl demo --out $(DEMO_OUT)

test: $(STAMP)  ## every test; those whose parts are missing skip and say what to do
	@failed=0; OMP_NUM_THREADS=1 $(PYTEST) $(AGAIN) $(TOGETHER) || failed=$$?; \
	$(PYTEST) $(AGAIN) $(ALONE) || failed=$$?; exit $$failed

test-all: $(STAMP)  ## the same at their longest, and those on emulated arm64 devices: 2 GB and some minutes the first time
	$(LONG) $(PYTEST)

faults: $(STAMP)  ## run the tests of the fault table, on emulated devices too, and write docs/faults.md from their outcomes
	$(LONG) $(PYTEST) tests -m fault --fault-table docs/faults.md

docs: $(STAMP)  ## write docs/cli.md from the commands
	$(BIN)/python docs/write_cli.py
	$(BIN)/python docs/write_schema.py

figures: $(STAMP)  ## the README's figures on real pictures; needs $$EDGETL_DATA, about half an hour
	rm -rf build/figures && mkdir -p build/figures
	$(BIN)/python -m edgetl.benchmarks.real_pictures build/figures/real
	$(BIN)/python -m edgetl.benchmarks.export_cost build/figures/export
	$(BIN)/python -m edgetl.benchmarks.overlap build/figures/real/trashnet.edgetl
	$(BIN)/python -m edgetl.benchmarks.device_start build/figures/real/trashnet.edgetl

bench: $(STAMP)  ## the short form of the benchmarks, in under 15 minutes on two cores, and docs/benchmarks.md from it
	$(BIN)/python -m edgetl.benchmarks.record

lint: $(STAMP)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy typecheck/edgetl
	PYTHONPATH=typecheck $(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# cloud-init checks a card's files; where it comes along for that, it is kept from setting this machine up.
system:  ## Debian packages that some tests use; where the user may not install, they skip
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  command -v cloud-init >/dev/null || { mkdir -p /etc/cloud && touch /etc/cloud/cloud-init.disabled; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends ffmpeg gir1.2-gst-rtsp-server-1.0 python3-gi python3-opencv gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly chromium chromium-driver mosquitto strace e2fsprogs openssl $(EMULATION_PARTS) >/dev/null; \
	else echo "make system: needs root and apt-get; the tests that use them will skip"; fi

clean:
	rm -rf $(VENV) build dist demo-out *.egg-info .mypy_cache .ruff_cache .pytest_cache
