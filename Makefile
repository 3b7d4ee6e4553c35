# Every target sets up what it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Whole files side by side: a file's tests share what they start.
PARALLEL := -q --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test unit check faults chaos recovery scale bench contract docs server run clean lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV), once ..." >&2
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip --disable-pip-version-check --quiet check
	@touch $(STAMP)

demo: $(STAMP) ## seven refunds through the real worker, on an embedded server
	@$(BIN)/refunds demo

test: $(STAMP) ## all tests
	@$(BIN)/python -m pytest $(PARALLEL)

unit: $(STAMP) ## the fast tests
	@$(BIN)/python -m pytest -q tests/unit tests/simulator tests/house

check: $(STAMP) ## types, style, import direction, docstrings, Lua, and all tests with coverage
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/interrogate -q config statemachine worker tests
	@if command -v luacheck >/dev/null; then luacheck --quiet --no-color worker; else echo "luacheck is not installed: the Lua scripts are not linted" >&2; fi
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --include 'statemachine/*' --fail-under 100 --skip-covered
	@$(BIN)/coverage report --fail-under 95 --skip-covered

faults: $(STAMP) ## every command and call of a refund under every fault; writes the README's table
	@$(BIN)/python -m tests.chaos.matrix --write

chaos: $(STAMP) ## five minutes of kills, freezes, restarts and lies; CHAOS="--minutes 1 --seed 7"
	@$(BIN)/python -m tests.chaos.storm $(CHAOS)

recovery: $(STAMP) ## how soon a fresh worker carries on after fifty kills of the only one
	@$(BIN)/python -m tests.chaos.recovery $(RECOVERY)

scale: $(STAMP) ## long lines: 100,000 waiting refunds, 10,000 refunds of one store
	@$(BIN)/python -m tests.benchmarks.scale $(SCALE)

bench: $(STAMP) ## refunds a second, beside a plain chain of actors
	@$(BIN)/python -m tests.benchmarks.bench $(BENCH)

contract: $(STAMP) ## Wix's own JavaScript client against the simulator (needs Node 20 or newer)
	@CONTRACT=1 $(BIN)/python -m pytest -q tests/contract

docs: $(STAMP) ## write the generated parts of the README files and .env.example
	@$(BIN)/python -m tests.house.documents

server: $(STAMP) ## a Valkey server on port 6379 to try the worker with; its data stays in .redis
	@exec $(BIN)/python -c 'from worker.demo.embedded import serve; serve(6379, ".redis")'

run: $(STAMP) ## the worker, with the environment of .env if there is one
	@set -a; [ ! -f .env ] || . ./.env; set +a; exec $(BIN)/python -m worker

lock: ## pin all dependencies anew (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra dev --upgrade -q -o requirements.lock pyproject.toml

clean: ## remove what the targets made
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist tests/contract/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
