# Two commands for a newcomer: `make quickstart` and `make test`. Both make the virtual environment they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# PyTorch's own index of CPU builds. On Linux the default build brings several GB of CUDA libraries.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
# Where to take torch from, such as TORCH_INDEX=URL; `default` is wherever pip takes everything else from.
TORCH_INDEX ?=
# One or two spinning OpenMP threads fight on small machines; a passive wait is 7 to 10 times faster there.
export OMP_WAIT_POLICY = PASSIVE

.PHONY: quickstart test lint mutants install clean

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

# Not part of `make test`: it runs the tests of a few modules once for each of 2,500 small changes to them.
mutants: $(VENV)/mutants.installed
	$(BIN)/python tests/mutants/check.py

install: $(VENV)/worker.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# What torch itself needs is installed with the worker, as constraints.txt pins it.
PIP_TORCH = $(BIN)/python -m pip install --quiet --constraint constraints.txt
CPU_INDEX_ANSWERS = $(BIN)/python -c "import urllib.request as r; r.urlopen('$(TORCH_CPU_INDEX)/torch/', timeout=5)"

$(VENV)/torch.installed: $(BIN)/python constraints.txt
	@if [ "$(TORCH_INDEX)" = default ]; then \
	    $(PIP_TORCH) torch; \
	elif [ -n "$(TORCH_INDEX)" ]; then \
	    echo "Installing torch from TORCH_INDEX."; \
	    $(PIP_TORCH) --no-deps --index-url "$(TORCH_INDEX)" torch; \
	elif [ "$$(uname -s)" != Linux ] || command -v nvidia-smi >/dev/null || [ -e /dev/nvidia0 ]; then \
	    $(PIP_TORCH) torch; \
	elif $(CPU_INDEX_ANSWERS) 2>/dev/null \
	    && echo "There is no NVIDIA GPU here: installing the CPU build of torch, which is much smaller." \
	    && $(PIP_TORCH) --no-deps --index-url "$(TORCH_CPU_INDEX)" torch; then \
	    true; \
	else \
	    echo "There is no NVIDIA GPU here, but PyTorch's CPU builds cannot be had: taking torch from the"; \
	    echo "usual place, which may bring several GB of CUDA libraries. Another index: make TORCH_INDEX=URL"; \
	    $(PIP_TORCH) torch; \
	fi
	@touch $@

$(VENV)/worker.installed: $(VENV)/torch.installed pyproject.toml constraints.txt
	@echo "Installing the training stack; this takes a few minutes the first time."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[worker,tables]'
	touch $@

$(VENV)/dev.installed: $(VENV)/worker.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[worker,tables,dev]'
	touch $@

$(VENV)/mutants.installed: $(VENV)/dev.installed pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutants]'
	touch $@

clean:
	rm -rf $(VENV) runs
