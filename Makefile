# Every target makes what it needs: .venv from pyproject.toml, .node from tests/interop/node. Nothing outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test check lint format bench conformance clean

demo: $(STAMP)  ## the main job on an embedded default
	$(BIN)/gatepass demo

test: lint  ## everything: lint, types, unit, integration, conformance, interoperability
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

SLOW := cli bridge conformance fleet identity integration interop security signers simulation stores testing \
	test_benchmarks.py test_docs.py test_pytest_plugin.py

check: lint  ## the quick part, under a minute: lint, types, unit tests
	$(BIN)/pytest -q $(SLOW:%=--ignore=tests/%)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## against the same client with a fixed header, and against six other libraries
	$(BIN)/python -m benchmarks

conformance: $(STAMP)  ## the score in every authorization scenario of the official suite
	$(BIN)/python tests/conformance/score.py

clean:
	rm -rf $(VENV) .node .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q --editable '.[aws,azure,cli,gcp,httpx,key-value,keyring,mcp,otel,pkcs11,redis,spiffe,testing,vault]' --group dev
	touch $@
