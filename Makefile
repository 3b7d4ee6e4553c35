# Every target sets up what it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
PORT ?= 6379
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-bench
# Test files run in parallel; the tests of one file share what they start. Most of the time they wait, so
# four at a time are not too many for two cores. In order, because the few longest tests are in short files.
PARALLEL := -q --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Programs start much faster with compiled modules, and the tests start hundreds of programs.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test unit check compat faults chaos recovery failover upstream fuzz scale cells letters bench contract docs runbook image wheel server run clean lock

help: ## list the targets
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

demo: $(STAMP) ## run seven refunds through the real worker, on an embedded server
	@$(BIN)/refunds demo

test: $(STAMP) ## run all tests
	@$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

unit: $(STAMP) ## run the fast tests
	@$(BIN)/python -m pytest -q tests/unit tests/simulator tests/house

check: $(STAMP) ## check types, style, import direction, docstrings and Lua; all tests with coverage
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/interrogate -q config statemachine worker tests
	@if command -v luacheck >/dev/null; then luacheck --quiet --no-color worker; else echo "luacheck is not installed: the Lua scripts are not linted" >&2; fi
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(TESTS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --include 'statemachine/*' --fail-under 100 --skip-covered
	@$(BIN)/coverage report --fail-under 95 --skip-covered

compat: ## run the tests on each Python from 3.11 to 3.14, with the lowest and the newest dependencies
	@.ci/compat $(COMPAT)

faults: $(STAMP) ## run each command and call of a refund with each fault; write the fault matrix
	@$(BIN)/python -m tests.chaos.matrix --write

chaos: $(STAMP) ## run five minutes of kills, crashes, failovers, blackouts and faults; CHAOS="--minutes 1 --seed 7"
	@$(BIN)/python -m tests.chaos.storm $(CHAOS)

recovery: $(STAMP) ## measure how soon a new worker continues after the only one was killed
	@$(BIN)/python -m tests.chaos.recovery $(RECOVERY)

failover: $(STAMP) ## kill a primary whose replicas lag, and let an old primary go on; FAILOVER="--refunds 80"
	@$(BIN)/python -m tests.chaos.failover $(FAILOVER)

upstream: $(STAMP) ## 10,000 jobs from four producers at once, three consumers; UPSTREAM="--jobs 1000 --seed 7"
	@$(BIN)/python -m tests.producers.run $(UPSTREAM)

fuzz: $(STAMP) ## ten minutes of strange bytes on the queue, at the API and from Wix; FUZZ="--minutes 3 --seed 7"
	@$(BIN)/python -m tests.fuzz.run $(FUZZ)
	@$(BIN)/python -m tests.fuzz.guided

scale: $(STAMP) ## measure long queues: 100,000 waiting refunds, 10,000 refunds of one store
	@$(BIN)/python -m tests.benchmarks.scale $(SCALE)

cells: $(STAMP) ## measure cells on a Redis Cluster of 1, 2 and 4 masters; CELLS="--refunds 1000"
	@$(BIN)/python -m tests.benchmarks.cells $(CELLS)

letters: $(STAMP) ## replay 100,000 dead letters while workers die; LETTERS="--count 10000"
	@$(BIN)/python -m tests.benchmarks.letters $(LETTERS)

# The peers that the worker is measured against: an environment of their own, which is not locked.
$(PEERS)/.installed: pyproject.toml
	@echo "setting up $(PEERS), once ..." >&2
	@rm -rf $(PEERS)
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade 'pip>=25.1'
	@$(PEERS)/bin/python -m pip --quiet install --group bench
	@$(PEERS)/bin/python -m pip --quiet install --group bench-dbos || echo "without DBOS" >&2
	@touch $@

bench: $(STAMP) $(PEERS)/.installed ## measure the worker beside other queues; BENCH="--quick --only throughput"
	@$(BIN)/python -m tests.benchmarks.bench $(BENCH)

contract: $(STAMP) ## run Wix's own JavaScript client against the simulator (needs Node 20 or newer)
	@CONTRACT=1 $(BIN)/python -m pytest -q tests/contract

docs: $(STAMP) ## write the generated parts of the README files and .env.example
	@$(BIN)/python -m tests.house.documents

runbook: $(STAMP) ## run the examples of the runbook, and write what they print into it
	@RUNBOOK=write $(BIN)/python -m pytest -q -p no:randomly tests/acceptance/runbook

image: $(STAMP) ## carry out the steps of the Containerfile in a plain directory, as root
	@REFUNDS_TEST_IMAGE=1 $(BIN)/python -m pytest -q tests/acceptance/deploy/test_containerfile.py

wheel: $(STAMP) ## build the wheels of the worker and of upstream's RefundQueue into dist
	@$(BIN)/python -m pip --disable-pip-version-check --quiet wheel --no-deps --no-build-isolation -w dist . worker/upstream

server: $(STAMP) ## start a Valkey server, to try the worker; its data is in .redis; PORT=6379
	@exec $(BIN)/python -c 'import sys; from worker.demo.embedded import serve; sys.exit(serve($(PORT), ".redis"))'

run: $(STAMP) ## start the worker, with the settings in .env if there is one
	@set -a; [ ! -f .env ] || . ./.env; set +a; exec $(BIN)/python -m worker

lock: ## pin all dependencies again (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra dev --upgrade -q -o requirements.lock pyproject.toml

clean: ## remove what the targets created, except for the server's data in .redis
	@rm -rf .venv .venv-bench .venv-compat .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist tests/contract/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
