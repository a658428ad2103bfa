# `make demo` and `make test` need Python 3.11 or newer, and nothing else that is installed.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DOCS_PORT ?= 8001
MINUTES ?= 5

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
URL := http://127.0.0.1:$(PORT)

.PHONY: help demo check unit test soak bench docs clean

help:
	@echo "make demo   start the example app on $(URL)  (another port: make demo PORT=8001)"
	@echo "make check  run ruff, mypy (the typing tests too) and import-linter"
	@echo "make unit   run the fast half of the tests, in under a minute"
	@echo "make test   run the tests"
	@echo "make soak   five minutes of mixed traffic and faults  (longer: make soak MINUTES=60)"
	@echo "make bench  measure what a token costs, here and elsewhere  (ARGS=--help tells more)"
	@echo "make docs   build the documentation into site/"
	@echo "make clean  remove the virtual environment"

demo: $(VENV)/.examples
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null \
		|| { echo "Port $(PORT) is in use. Choose another one: make demo PORT=8001"; exit 1; }
	@echo "Open $(URL)/playground, read $(URL)/docs, or paste:"
	@echo
	@echo "  curl -N $(URL)/qa -H 'Content-Type: application/json' -d '{\"query\": \"Why does nginx hold back my events?\"}'"
	@echo
	@$(BIN)/hypercorn examples.chat:app --bind 127.0.0.1:$(PORT)

check: $(VENV)/.gates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: $(VENV)/.test
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "unit and not measures" $(ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest $(ARGS)

soak: $(VENV)/.test
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Built into site/. To read it: $(BIN)/python -m http.server --directory site --bind 127.0.0.1 $(DOCS_PORT)"

clean:
	rm -rf $(VENV) .bench site

# A dependency group is installed anew when pyproject.toml changes, and not before. An older pip
# knows no groups, and does not find wheels that a newer one does.
$(VENV)/.examples $(VENV)/.test $(VENV)/.bench $(VENV)/.site $(VENV)/.providers $(VENV)/.agents $(VENV)/.gates: $(VENV)/.%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This needs Python 3.11 or newer: make PYTHON=python3.13 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --editable ".[docs]" --group $*
	@touch $@
