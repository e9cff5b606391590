# Thin names for what the README says. ARGS= goes to the program, PYTEST= to pytest.
SHELL := /bin/bash
export VENV ?= .venv
BIN := $(VENV)/bin
CONTENTS := pyproject.toml scripts/setup.sh

PROFILE ?= live

.PHONY: run test test-all lint soak fuzz bench doctor train smoke plugin plugin-test clean

run: $(VENV)/.stemd-run  ## install what is missing, then start the daemon
	@$(BIN)/stemd run $(ARGS)

test: $(VENV)/.stemd-test  ## the tests, without those that take long
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

test-all: $(VENV)/.stemd-test  ## all tests
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.stemd-test  ## format, style and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: $(VENV)/.stemd-run  ## how long one hop takes on this machine
	@$(BIN)/stemd bench $(ARGS)

doctor: $(VENV)/.stemd-run  ## what of this machine will hurt
	@$(BIN)/stemd doctor $(ARGS)

train: $(VENV)/.stemd-train  ## a released model from nothing: PROFILE=tight|live|quality|pi MINUTES=150
	$(BIN)/python -m models.make --profile $(PROFILE) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

smoke: $(VENV)/.stemd-train  ## render, train and export something tiny, and all tests that need torch
	$(BIN)/python -m pytest tests/models tests/test_guide.py $(PYTEST)

plugin:  ## stemd Insert and Receiver for DAWs (VST3, CLAP, LV2), built and put where hosts look
	@bash bridge/plugin/build.sh

plugin-test: $(VENV)/.stemd-test  ## the plugin's tests: C++, mini-host, DawDreamer where it is
	$(BIN)/python -m pytest tests/bridge/plugin $(PYTEST)

soak: $(VENV)/.stemd-test  ## hours with faults on a schedule: MINUTES=120, a page in build/soak
	$(BIN)/python -c "import matplotlib" 2>/dev/null || $(BIN)/python -m pip install matplotlib
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),120) $(ARGS)

fuzz: $(VENV)/.stemd-test  ## coverage-guided fuzzing of what comes in: SURFACE=osc MINUTES=30
	$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install "atheris>=3"
	$(BIN)/python -m benchmarks.fuzz $(or $(SURFACE),all) --minutes $(or $(MINUTES),30) $(ARGS)

clean:  ## everything that was made here; recordings stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find stemd tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stemd-run: $(CONTENTS)
	@bash scripts/setup.sh run

$(VENV)/.stemd-test: $(CONTENTS)
	@bash scripts/setup.sh test

$(VENV)/.stemd-train: $(CONTENTS)
	@bash scripts/setup.sh train
