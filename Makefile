# The two commands that must always work on a fresh machine with Python 3.11+ and pip: make run, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A shell that forbids bytecode makes every one of our processes compile its imports again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check format bench lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@# uv installs the same locked wheels several times faster; without it pip does.
	$(BIN)/python -m pip install --quiet uv || true
	if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	else $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock; fi
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	touch $@

run: $(STAMP) ## the demo: real prices to audited paper trades, offline, in one go
	$(BIN)/pmx demo

test: $(STAMP) check ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy quant resources
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite files in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## every benchmark, ratios as JSON
	$(BIN)/pmx bench all --json

lock: $(STAMP) ## resolve requirements.lock again, with hashes and without any address
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade --extra dev pyproject.toml -o requirements.lock

clean: ## remove the virtual environment and all state
	rm -rf $(VENV) var
