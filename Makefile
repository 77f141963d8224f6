# One entry, few verbs. Each makes what it needs: on a machine with Python >= 3.11, pip and make, nothing else.

DATA ?= data/set
PORT ?= 8080
TESTS ?= tests
# Test processes at a time, each with servers of its own: they mostly wait, so more than there are cores.
JOBS ?= 3
# LOAD=1 keeps two busy loops per core beside all tests but the fault suites: which of them count seconds?
LOAD ?= 0
# Which rows of `make bench`, and with what: --quick, --json. GROWTH=1: some of them at 10 thousand to 5 million events.
ROWS ?=
OPTIONS ?=
GROWTH ?= 0

# The first interpreter that is new enough; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Modules, not the scripts beside it: a script begins with its interpreter's path, in which a quote or a $ is fatal.
RUN := $(BIN)/python -m
INSTALLED := $(VENV)/.installed
PIP := $(RUN) pip --disable-pip-version-check --quiet install --no-input

.PHONY: help demo run test test-fast check bench lock

help:
	@echo 'make demo    the whole journey on this machine: a collection is created, generated, stored, charged'
	@echo 'make run     serve until Ctrl-C, at http://127.0.0.1:$(PORT), everything kept in $(DATA)'
	@echo 'make test    all tests, on real servers that come with the dependencies (TESTS=tests/unit for some, LOAD=1 on a busy machine)'
	@echo 'make test-fast   unit and contract tests, for the loop while you write'
	@echo 'make check   format, lint, types, import rules'
	@echo 'make bench   the figures of performance, each beside its peer (ROWS="P2 P5" for some; see benchmarks/README.md)'
	@echo 'make lock    pin the newest versions that pyproject.toml allows, with hashes'

demo: $(INSTALLED)
	@$(RUN) infra.cli demo

run: $(INSTALLED)
	@$(RUN) infra.cli up --data '$(DATA)' --port $(PORT)

test: $(INSTALLED)
	@$(RUN) tests.run --jobs $(JOBS) --load $(LOAD) $(TESTS)

test-fast: $(INSTALLED)
	@$(RUN) tests.run --jobs $(JOBS) tests/unit tests/contracts

check: $(INSTALLED)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(BIN)/python -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

bench: $(INSTALLED)
	@$(RUN) benchmarks $(if $(filter-out 0,$(GROWTH)),--growth) $(ROWS) $(OPTIONS)

# No index address goes into the lock: it must install from whichever index a machine is set up with.
lock: $(INSTALLED)
	@$(RUN) uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade -o requirements.lock

# The stamp is written last, so an installation that was cut short is done again; the next run finds it and is quick.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'emprops needs Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'making $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@echo 'installing the locked dependencies into $(VENV): the first time takes a minute or two'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
