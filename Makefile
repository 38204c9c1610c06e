# Three things a contributor runs: `make check`, `make test`, `make bench`. A user runs `make serve`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: serve test test-sglang check bench clean
serve: $(VENV)/.core
	$(BIN)/parrotfish serve $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.audit

# The conformance suite on SGLang, too, which has an environment of its own: 2.7 GB, made once. See docs/sglang.md.
test-sglang: $(VENV)/.test .venv-sglang/.ready
	PARROTFISH_SGLANG_PYTHON=$(CURDIR)/.venv-sglang/bin/python $(BIN)/python -m pytest tests/engine/conformance -k sglang $(ARGS)

.venv-sglang/.ready: tests/sglang/setup.sh tests/sglang/sitecustomize.py
	@echo "Making .venv-sglang (0.85 GB to fetch, a minute or two, once)"
	@rm -rf .venv-sglang
	@PYTHON=$(BIN)/python tests/sglang/setup.sh .venv-sglang
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "parrotfish needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Could not make $(VENV); on Debian and Ubuntu: apt install python3-venv"; exit 1; }

# A stamp for each set of dependencies, so that the second run starts at once.
$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing parrotfish (about a minute, once)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing parrotfish and what its tests need (a minute or two, once)"
	@$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.core

$(VENV)/.bench: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing parrotfish and what its benchmarks need"
	@$(PIP) -e '.[bench]'
	@touch $@ $(VENV)/.core
