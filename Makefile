# Each target installs what it needs. Requires Python >= 3.11, pip and make.

DATA ?= data/set
PORT ?= 8080
TESTS ?= tests
# Parallel test processes, each with its own servers. They mostly wait, so more than there are cores.
JOBS ?= 3
# Fault suites at a time, after the others: each judges by time what its own servers do.
FAULT_JOBS ?= 2
# LOAD=1 runs two busy loops per core during all tests but the fault suites, to find tests that depend on timing.
LOAD ?= 0
# ROWS of `make bench`, and its OPTIONS: --quick, --json. GROWTH=1: some rows at 10 thousand to 5 million events.
ROWS ?=
OPTIONS ?=
GROWTH ?= 0

# The first interpreter of version 3.11 or newer; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Modules instead of scripts: the `#!` line of a script can't contain a path with a quote or a $.
RUN := $(BIN)/python -m
INSTALLED := $(VENV)/.installed
PIP := $(RUN) pip --disable-pip-version-check --quiet install --no-input

# Else each of the hundreds of processes of a run would compile all modules again, and pytest all tests six times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo run test test-fast check docs reference bench lock

help:
	@echo 'make demo    create a collection, generate it, download the files, show the cost'
	@echo 'make run     serve until Ctrl-C, at http://127.0.0.1:$(PORT), everything kept in $(DATA)'
	@echo 'make test    all tests, on real servers that come with the dependencies (TESTS=tests/unit for some, LOAD=1 on a busy machine)'
	@echo 'make test-fast  unit and contract tests, properties with fewer examples'
	@echo 'make check   format, lint, types, import rules, the rules of tools/rules.py, and whether all tests load under the same names'
	@echo 'make bench   measure performance beside comparable systems (ROWS="P2 P5" for some; see benchmarks/README.md)'
	@echo 'make docs    build the documentation as a site, in build/docs'
	@echo 'make reference  write the pages of docs/reference that are generated from the code'
	@echo 'make lock    pin the newest versions that pyproject.toml allows, with hashes'

demo: $(INSTALLED)
	@$(RUN) infra.cli demo

run: $(INSTALLED)
	@$(RUN) infra.cli up --data '$(DATA)' --port $(PORT)

test: $(INSTALLED)
	@$(RUN) tests.run --jobs $(JOBS) --fault-jobs $(FAULT_JOBS) --load $(LOAD) $(TESTS)

test-fast: $(INSTALLED)
	@$(RUN) pytest --numprocesses logical --dist loadfile --hypothesis-profile fast tests/unit tests/contracts

check: $(INSTALLED)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(BIN)/python -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(RUN) tools.rules
	$(RUN) tools.test_names

docs: $(INSTALLED)
	@$(RUN) sphinx -W --keep-going -q -b html -d build/doctrees docs build/docs
	@echo 'open build/docs/index.html'

# A test compares the pages with the code.
reference: $(INSTALLED)
	@$(RUN) tools.reference

bench: $(INSTALLED)
	@$(RUN) benchmarks $(if $(filter-out 0,$(GROWTH)),--growth) $(ROWS) $(OPTIONS)

# The lock holds no index URL: it must install from the index that the machine is configured with.
lock: $(INSTALLED)
	@$(RUN) uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade -o requirements.lock

# The stamp is written last, so an interrupted installation is repeated, and a complete one is not.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'emprops needs Python 3.11 or newer: install it, or give its path: make PYTHON=/path/to/python' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'making $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@echo 'installing the locked dependencies into $(VENV): the first time takes a minute or two'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
