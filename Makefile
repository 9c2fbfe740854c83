# make run · make test · make test-all · make test-gpu · make lint · make bench · make words · make words-check · make clean
# Variables: PYTHON (3.11 or newer), PORT, ADDRESS (0.0.0.0 opens the app to the local network),
# JOBS (test processes beside the browser's; one a core).

PYTHON ?= python3
PORT ?= 8501
ADDRESS ?= 127.0.0.1

VENV := .venv
BIN := $(VENV)/bin
APP := $(VENV)/.stamp
DEV := $(VENV)/.stamp-dev
PIP = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 5 --timeout 60 -c constraints.txt

# Data sets that are on this machine already; without them the tests that need them are skipped, by name.
ifneq ($(wildcard ../shared/data),)
test test-all: export LAYERLAB_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.PHONY: run test test-all test-gpu lint bench words words-check clean distclean browser

run: $(APP)
	@hosts=; [ "$(ADDRESS)" = 127.0.0.1 ] || hosts='--server.allowedHosts *'; set -f; \
	exec $(BIN)/streamlit run app.py --server.headless true --server.address $(ADDRESS) --server.port $(PORT) $$hosts

# One pytest process a core; who is done takes tests from the others. The learner's paths in a real browser run beside them
# in a process of their own (Playwright's event loop would stand in the way of other tests); what they print comes last.
# Tests of the CPU see no GPU: to the bit the same is promised there. Both parts run, whatever the other one says.
# Python may keep what it has compiled: each of the many processes that the tests start would compile all of it anew.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PYTEST = PYTHONDONTWRITEBYTECODE= CUDA_VISIBLE_DEVICES= $(BIN)/python -m pytest --durations=10
SPREAD = $(PYTEST) -n $(JOBS) --maxprocesses 8 --dist worksteal
BESIDE = ended=0; printed=$$(mktemp); $(PYTEST) -m "browser$(1)" tests/browser tests/web >$$printed 2>&1 & \
	$(SPREAD) -m "not gpu and not browser$(1)" || ended=1; wait $$! || ended=1; cat $$printed; rm -f $$printed
GPU = $(BIN)/python -m pytest -m gpu
test: lint browser
	@$(call BESIDE, and not slow); exit $$ended

test-all: lint browser
	@$(call BESIDE); \
	if command -v nvidia-smi >/dev/null 2>&1; then $(GPU) || ended=1; \
	else echo "No GPU here: the tests marked gpu (make test-gpu) did not run."; fi; exit $$ended

test-gpu: $(DEV)
	@$(GPU)

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory words-check

bench: $(APP)
	@$(BIN)/python -m core bench

# The template of the texts that can be translated. Files without line numbers: a text that has moved changes nothing.
EXTRACT = $(BIN)/pybabel --quiet extract -F pyproject.toml -k _ -k Sentence -k counted:1,2 --no-wrap --sort-by-file \
  --add-location=file --omit-header core pages app.py -o
TEMPLATE = assets/locale/layerlab.pot
words: $(DEV)
	@mkdir -p assets/locale
	@$(EXTRACT) $(TEMPLATE)
	@grep -c '^msgid' $(TEMPLATE) | sed 's|$$| texts in $(TEMPLATE)|'

words-check: $(DEV)
	@fresh=$$(mktemp) && $(EXTRACT) $$fresh && cmp -s $$fresh $(TEMPLATE); differs=$$?; rm -f $$fresh; \
	if [ $$differs != 0 ]; then echo "$(TEMPLATE) is not up to date: run make words." >&2; exit 1; fi

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)

# ── set-up ───────────────────────────────────────────────────────────────────

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "LayerLab needs Python 3.11 or newer, and “$(PYTHON)” is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@echo "Setting up $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)

$(APP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing LayerLab and what it needs …"
	@$(PIP) -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing LayerLab with its tools …"
	@$(PIP) -e '.[dev]'
	@touch $(APP) $@

# The browser that the tests drive.
browser: $(DEV)
	@for name in chromium chromium-browser google-chrome; do \
	  if command -v $$name >/dev/null 2>&1; then exit 0; fi; done; \
	echo "No Chromium here; installing it …"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	{ $$sudo apt-get update -qq && $$sudo apt-get install -y -qq chromium >/dev/null; } || { \
	  echo "Chromium could not be installed. Install chromium or google-chrome by hand, or run the tests without it:" >&2; \
	  echo "  $(BIN)/python -m pytest -m 'not slow and not gpu and not browser'" >&2; \
	  exit 1; }
