# Two commands for a newcomer: `make quickstart` and `make test`. Both make the virtual environment they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One or two spinning OpenMP threads fight on small machines; a passive wait is 7 to 10 times faster there.
export OMP_WAIT_POLICY = PASSIVE

.PHONY: quickstart test lint install clean

quickstart: $(VENV)/worker.installed
	$(BIN)/brightrun quickstart

test: $(VENV)/dev.installed lint
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(VENV)/dev.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

install: $(VENV)/worker.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/worker.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing; the training stack is large, this takes a few minutes the first time."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[worker]'
	touch $@

$(VENV)/dev.installed: $(VENV)/worker.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[worker,dev]'
	touch $@

clean:
	rm -rf $(VENV) runs
