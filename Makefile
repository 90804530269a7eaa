# One command each, on a machine that has Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.bench-installed
# Of their own: some readers ask for older versions of what others are tested with.
READERS_VENV := .venv-readers
READERS_INSTALLED := $(READERS_VENV)/.installed
WORKERS ?= auto
OUTPUT ?= output

.DEFAULT_GOAL := help
.PHONY: help demo test readers lint type check format bench clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(INSTALLED) ## Fill a sample publication in an embedded PostgreSQL, export it to ./output
	$(BIN)/duckwarp demo --output $(OUTPUT) $(if $(DUCKWARP_TEST_DSN),--dsn "$$DUCKWARP_TEST_DSN")

test: $(INSTALLED) ## Run the whole suite (DUCKWARP_TEST_DSN names another server)
	$(BIN)/python -m pytest -n $(WORKERS)

$(READERS_INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(READERS_VENV)
	$(READERS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(READERS_VENV)/bin/python -m pip install --quiet --editable '.[dev,readers]'
	@touch $@

readers: $(READERS_INSTALLED) ## Open every type with every reader (RECORD=1: write docs/readers.md)
	$(if $(RECORD),DUCKWARP_RECORD_READERS=1) $(READERS_VENV)/bin/python -m pytest -n 2 --dist loadgroup tests/readers

lint: $(INSTALLED) ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: $(INSTALLED) ## Check types
	$(BIN)/mypy

check: lint type test ## Everything that has to hold before a commit

format: $(INSTALLED) ## Put the code into format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

bench: $(BENCH_INSTALLED) ## Measure beside other ways to export, write docs/performance.md (QUICK=1: a trial)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)
	$(BIN)/python -m benchmarks.guards $(if $(QUICK),--quick)
	$(BIN)/python -m benchmarks.soak $(if $(QUICK),--quick)

clean: ## Remove the environment and caches
	rm -rf $(VENV) $(READERS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
