# One command each, on a machine that has Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.bench-installed
WORKERS ?= auto
OUTPUT ?= output

.DEFAULT_GOAL := help
.PHONY: help demo test lint type check format bench clean

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

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
