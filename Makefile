# Needs python3 (3.11 or newer) and make; everything else is installed into .venv by the first command.
#
#   make demo    set up, draw a corpus, and run the main job on it
#   make test    set up, and pass the tests
#   make check   set up, lint, types, the import contract, the documentation's commands, and the tests
#   make mutants  one token changed at a time: which changes does no test notice? COUNT=n, and DRAW=n for others
#   make fuzz-images  mutated image files through the isolated decoder and an index; COUNT=n, and DRAW=n for others
#   make crash   SIGKILL at random moments and durable steps of every command that changes an index; KILLS=n
#   make flips   one changed byte at a time in every file of an index: seen, and no other answer; FLIPS=n
#   make fuzz    a coverage-guided search for image files that the decoders mistreat; SECONDS=n
#   make bench   retr beside others, in one run: docs/benchmarks/bench.md; SIZE=quick|full, DATA=folder of photographs
#   make fuzz-http  what the OpenAPI of retr serve allows, sent to it: a 5xx fails; INDEX=folder
#   make check-long   the property tests again, on examples drawn anew; SEED=n repeats a run, ROUNDS=n sets how many

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# A slow connection is no error.
export UV_HTTP_TIMEOUT ?= 300
# Tests run on so many processes at once, a thread each.
WORKERS ?= 2
# Types are checked beside the tests, since that takes one thread; make --jobs=1 check does one thing after the other.
ifneq (,$(filter check,$(MAKECMDGOALS)))
ifeq (,$(filter -j%,$(MAKEFLAGS)))
MAKEFLAGS += --jobs=2
endif
endif
# The demo's index is the one it makes, whatever the caller's shell has set.
unexport RETR_INDEX

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help set-up demo test check bench crash flips check-long lint types imports docs constraints mutants fuzz fuzz-http fuzz-images clean

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
	@: >$(VENV)/left-out
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { \
	  echo 'There is no C++ compiler here, so pdqhash and weighted-levenshtein are left out, and tests of that hash'; \
	  echo 'and of the threatexchange command are skipped.'; \
	  echo 'To have it (on Debian and Ubuntu: apt install g++ python3-dev): make clean, then this again.'; \
	  for left in pdqhash weighted-levenshtein; do echo "$$left ; sys_platform == \"none\""; done >$(VENV)/left-out; }
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	  --override $(VENV)/left-out --editable '.[dev]'
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

PYTEST := $(BIN)/python -m pytest
SPREAD := --numprocesses=$(WORKERS)
# The files that hold tests so marked: to find them in this way is quicker than to import all of the tests.
marked = -m $(1) $$(grep -rl --include='test_*.py' 'pytest.mark.$(1)' tests)

# A file at a time to each worker; then alone, what measures time.
test: $(READY)
	$(PYTEST) $(SPREAD) --dist=loadfile --no-loadscope-reorder -m 'not docs and not alone'
	$(PYTEST) $(call marked,alone)

check: lint imports types docs test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	$(PYTEST) $(SPREAD) --dist=load $(call marked,docs)

# ---- now and then -------------------------------------------------------------------------------------------

ROUNDS ?= 10
SEED ?= $(shell $(PYTHON) -c 'import secrets; print(secrets.randbelow(10**6))')

# In CI the examples are always the same; here they are others in every run, and a failure prints its seed.
check-long: $(READY)
	@seed=$(SEED); for round in $$(seq $(ROUNDS)); do \
	  echo "round $$round of $(ROUNDS): SEED=$$seed ROUNDS=1 repeats it"; \
	  $(PYTEST) $(SPREAD) --dist=worksteal -m hypothesis --hypothesis-profile=long --hypothesis-seed=$$seed || exit; \
	  seed=$$((seed + 1)); \
	done

# Resolves the newest versions that fit together, for every platform and Python that retr supports.
constraints: | $(READY)
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	  --no-annotate --no-emit-index-url --no-emit-find-links --color never --quiet \
	  --custom-compile-command 'make constraints' --output-file constraints.txt

KILLS ?= 200

# Kills index, add, rm, sync and compact; the short run is a test.
crash: $(READY)
	@rm -rf .crash
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support:tests/crash $(BIN)/python tests/crash/life_under_fire.py .crash $(KILLS) $(SEED)
	@rm -rf .crash

FLIPS ?= 2000

flips: $(READY)
	@rm -rf .crash
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support:tests/crash $(BIN)/python tests/crash/bytes_under_fire.py .crash $(FLIPS) $(SEED)
	@rm -rf .crash

# How many small faults, and which ones: make mutants COUNT=200 DRAW=1
COUNT ?= 60
DRAW  ?= 0

# Changes one token at a time in a copy of the project, and fails if the tests notice fewer than 95 in 100.
mutants: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python -m mutants --count $(COUNT) --seed $(DRAW)

# COUNT=5000 files take about eight minutes on two cores.
fuzz-images: COUNT = 5000
fuzz-images: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python -m fuzz_images --count $(COUNT) --seed $(DRAW)

# Linux only; atheris comes when it is first asked for.
SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt 'atheris>=3.0'
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python -m fuzz_coverage --seconds $(SECONDS)

# A service of INDEX that everything is thrown at: schemathesis comes when it is first asked for, and lives elsewhere.
INDEX ?= retr-index
fuzz-http: $(READY)
	$(BIN)/python docs/benchmarks/serve.py schema $(INDEX)

SIZE ?= quick
DATA ?= $(RETR_DATA)
BENCH ?= .bench
# What was measured in .bench is not measured again; ANEW=1 measures all of it.
bench: $(READY)
	$(BIN)/python docs/benchmarks/bench $(BENCH) --size $(SIZE) $(if $(DATA),--data $(DATA)) $(if $(ANEW),--anew)

clean:
	rm -rf $(VENV) .demo .bench .crash build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
