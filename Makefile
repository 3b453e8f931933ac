# Needs python3 (3.11 or newer) and make; everything else is installed into .venv by the first command.
#
#   make demo    set up, draw a corpus, and run the main job on it
#   make test    set up, and pass the tests
#   make mutants  change one token at a time, and see which changes no test notices
#   make check   set up, lint, types, the import contract, the documentation's commands, and the tests

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# A slow connection is no error.
export UV_HTTP_TIMEOUT ?= 300
# The demo's index is the one it makes, whatever the caller's shell has set.
unexport RETR_INDEX

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help set-up demo test check lint types imports docs constraints mutants clean

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

# ---- set-up -------------------------------------------------------------------------------------------------

set-up: $(READY)

# The stamp is written last, so an interrupted set-up is taken up again; it is older than what it depends on
# after a change of dependencies. uv and not pip installs the rest: torch and torchvision must be one pair.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'retr needs Python 3.11 or newer, and $(PYTHON) is not. Name one: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo 'This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@rm -f $@
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

# ---- the two commands of the README, and all of CI ----------------------------------------------------------

# Prints a command as a reader would type it, then runs it among the demo's files.
run = @echo; echo '$$ $(1)'; cd .demo && PATH='$(CURDIR)/$(BIN)':"$$PATH" $(1)

demo: $(READY)
	@rm -rf .demo
	$(BIN)/python docs/examples/draw_corpus.py .demo
	$(call run,retr index ./corpus)
	$(call run,retr query img.png --certify)
	$(call run,retr attack-eval)

test: $(READY)
	$(BIN)/python -m pytest -m 'not docs'

check: lint types imports docs test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m pytest -m docs

# ---- now and then -------------------------------------------------------------------------------------------

# Resolves the newest versions that fit together, for every platform and Python that retr supports.
constraints: | $(READY)
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	  --no-annotate --no-emit-index-url --no-emit-find-links --color never --quiet \
	  --custom-compile-command 'make constraints' --output-file constraints.txt

# How many small faults, and which ones: make mutants COUNT=200 SEED=1
COUNT ?= 60
SEED  ?= 0

# Changes one token at a time in a copy of the project, and fails if the tests notice fewer than 95 in 100.
mutants: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python -m mutants --count $(COUNT) --seed $(SEED)

clean:
	rm -rf $(VENV) .demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
