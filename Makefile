# Two commands need nothing but Python 3.11 or newer and make:  make demo   make test
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
VENV ?= .venv
WORKERS ?= 2
CONSTRAINTS ?= constraints/dev.txt
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: help venv demo test lint types pytest test-lowest bench clean

help:
	@echo "make demo         synthetic tissue, a small classifier, its audit: demo/report.html"
	@echo "make test         lint, types and the whole test suite"
	@echo "make test-lowest  the suite with the lowest versions we claim"
	@echo "make bench        the benchmark of docs/performance.md, in its own environment"

# One environment; each stamp names what was installed into it, so a second call does nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Percuss needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(CONSTRAINTS)
	$(PIP) install --quiet -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed constraints/peers.txt
	$(PIP) install --quiet -c $(CONSTRAINTS) -e '.[test]'
	$(PIP) install --quiet --no-deps -r constraints/peers.txt
	@touch $@

venv: $(VENV)/.tested

demo: $(VENV)/.installed
	OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 $(BIN)/percuss demo --out demo

lint: $(VENV)/.tested
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks

types: $(VENV)/.tested
	$(BIN)/mypy --strict src

pytest: $(VENV)/.tested
	PERCUSS_PEERS=required $(BIN)/python -m pytest -q -n $(WORKERS) tests

test: lint types pytest

test-lowest:
	$(MAKE) pytest VENV=.venv-lowest CONSTRAINTS=constraints/lowest.txt

bench:
	$(MAKE) VENV=.venv-bench .venv-bench/.made
	.venv-bench/bin/python -m pip install --quiet -e '.[bench]'
	.venv-bench/bin/python -m pip install --quiet --no-deps adv-lib
	.venv-bench/bin/python benchmarks/attacks.py

clean:
	rm -rf .venv .venv-lowest .venv-bench demo .mypy_cache .ruff_cache .pytest_cache
