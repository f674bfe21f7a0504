# Every target sets up what it needs in .venv and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SETUP := pyproject.toml constraints.txt

.PHONY: demo test lint docs bench clean help

help:
	@echo "make demo   train experts and mixers on the bundled real clips (a few minutes)"
	@echo "make test   run the whole test suite"
	@echo "make lint   formatting, lint and types"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make bench  run the programs behind the figures of the performance page"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-%: $(SETUP) | $(BIN)/python
	$(PIP) -e '.[$*]'
	@touch $@

demo: $(VENV)/.ready-plot
	$(BIN)/python examples/plot_quickstart.py

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.ready-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.ready-test
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/api build *.egg-info
