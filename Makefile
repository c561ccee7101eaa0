# Venom's workshop. Needs python3 (3.11 or newer, with venv), git and make; everything else is fetched.
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.txt
OURS := $(wildcard venom_engine spore venom_tui tests tools examples screenshots benchmarks)
ARGS ?=

# Stamps carry the hash of what they stand for: another lock, another folder or a broken Python
# makes the environment again, and nothing else does.
key = $(shell { pwd; cat $(1); } 2>/dev/null | cksum | tr -d ' ')
DEPS := $(VENV)/.deps-$(call key,$(LOCK))
PACKAGE := $(VENV)/.package-$(call key,$(LOCK) pyproject.toml)
USABLE := $(shell $(BIN)/python -c 'print("yes")' 2>/dev/null)
ifneq ($(USABLE),yes)
.PHONY: $(DEPS)
endif

.PHONY: help
help: ## Show this list
	@echo "make run     is all you need to see it; make test is what CI runs."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(PACKAGE) ## Open the console on an engine of its own; ARGS="--engine URL" for another
	@$(BIN)/venom-tui $(ARGS)

.PHONY: install
install: $(PACKAGE) ## Make .venv with everything, and open nothing

.PHONY: test
test: lint types arrows tests ## Lint, types, arrows and all tests: what CI runs

.PHONY: lint
lint: $(PACKAGE) ## Check style and formatting
	@echo "lint"
	@$(BIN)/ruff check --quiet $(OURS)
	@report=$$($(BIN)/ruff format --check $(OURS) 2>&1) || { echo "$$report"; echo "make format mends it."; exit 1; }

.PHONY: types
types: $(PACKAGE) ## Check types
	@echo "types"
	@$(BIN)/mypy --no-error-summary

.PHONY: arrows
arrows: $(PACKAGE) ## Check that imports point one way
	@echo "arrows"
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }

.PHONY: tests
tests: $(PACKAGE) ## Run the tests only; ARGS="-k words" for some of them
	@echo "tests"
	@$(BIN)/pytest -q -n auto --maxprocesses=8 $(ARGS)

.PHONY: format
format: $(PACKAGE) ## Mend style and formatting
	@$(BIN)/ruff check --fix --quiet $(OURS)
	@$(BIN)/ruff format $(OURS)

.PHONY: screenshots
screenshots: $(PACKAGE) ## Take the screenshots again, from the running console
	@$(BIN)/python -m screenshots.make

ifneq ($(wildcard benchmarks/__main__.py),)
.PHONY: bench
bench: $(PACKAGE) ## Measure; ratios side by side
	@$(BIN)/python -m benchmarks $(ARGS)
endif

.PHONY: docs
docs: $(PACKAGE) ## Write the generated pages of docs/
	@$(BIN)/python -m tools.settings_page docs/settings.md
	@$(BIN)/python -m venom_tui.keys > docs/console-keys.md

.PHONY: lock
lock: ## Lock the dependencies again; UPGRADE=1 takes the newest that fit
	@sh tools/lock.sh $(PYTHON) $(LOCK) $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove everything that make made
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEPS):
	@command -v $(PYTHON) >/dev/null || \
		{ echo "No $(PYTHON) here. Debian and Ubuntu: sudo apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) tools/install.py $(VENV) $(LOCK) deps
	@touch $@

$(PACKAGE): $(DEPS)
	@$(PYTHON) tools/install.py $(VENV) $(LOCK) package
	@rm -f $(VENV)/.package-*
	@touch $@
