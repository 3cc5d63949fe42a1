# The two commands that must always work on a fresh machine with Python 3.11+ and pip: make run, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# A shell that forbids bytecode makes every one of our processes compile its imports again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check format bench planted reliability lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# uv installs the same locked wheels several times faster; without it pip does. The locks are
# complete, so nothing is resolved again.
define install
	$(BIN)/python -m pip install --quiet uv || true
	if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r $(1); \
	else $(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(1); fi
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	touch $@
endef

$(STAMP): $(VENV)/bin/python requirements.lock pyproject.toml
	$(call install,requirements.lock)

# What tests and benchmarks need besides: linters, and other libraries to compare with.
$(DEV_STAMP): $(STAMP) requirements-dev.lock
	$(call install,requirements-dev.lock)

run: $(STAMP) ## the demo: real prices to audited paper trades, offline, in one go
	$(BIN)/pmx demo

test: $(DEV_STAMP) check ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(DEV_STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy quant resources
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## rewrite files in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_STAMP) ## every benchmark, ratios as JSON
	$(BIN)/pmx bench all --json

planted: $(DEV_STAMP) ## plant a hundred defects one by one and say which of them the tests see
	$(BIN)/python -m tests.planted.plant

reliability: $(DEV_STAMP) ## the long proofs, more than an hour, and the page of what they found
	$(BIN)/python -m tests.reliability --report docs/reliability-report.md

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header pyproject.toml

lock: $(DEV_STAMP) ## resolve both locks again, with hashes and without any address
	$(COMPILE) --upgrade --extra dev --extra rivals -o requirements-dev.lock
	$(COMPILE) --upgrade --constraints requirements-dev.lock -o requirements.lock

clean: ## remove the virtual environment and all state
	rm -rf $(VENV) var
