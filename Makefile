# Everything runs from .venv, which `make` builds with the stock python3 and the locked packages.

PYTHON ?= python3
# Test processes, each with engines and a site of its own; JOBS=0 runs all in one.
JOBS ?= 3
CODE := alerting analytics breakers deploy healing health resilience_site tests
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TEMPLATE_FOLDERS = $(wildcard templates */templates resilience_site/*/templates)

.DEFAULT_GOAL := help
.PHONY: help up demo test check bench lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: $(VENV)/.site ## run the site with its engines on this machine; Ctrl-C stops it
	@exec $(BIN)/python manage.py up --stop-with-parent

demo: $(VENV)/.site ## the same, with a planner MCP server, a Graph simulator and their faults
	@exec $(BIN)/python manage.py up --demo --stop-with-parent

test: $(VENV)/.dev ## run all tests; finds or installs a browser
	@./tests/browser.sh
	@# Tests start hundreds of processes; each would compile the code where nobody keeps it compiled.
	@$(BIN)/python -m compileall -q $(CODE) || echo "Not compiled ahead; it only takes longer"
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.dev ## lint, formatting, types, layers, migrations, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DJANGO_SETTINGS_MODULE=tests.offline_settings $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet $(TEMPLATE_FOLDERS)

bench: $(VENV)/.bench ## measure speed and memory; writes var/bench/ and prints a table
	@$(BIN)/python -m tests.bench $(ARGS)

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header $(ARGS)

lock: $(VENV)/.dev ## renew the locked packages from pyproject.toml
	$(LOCK) --extra site --group demo --output-file requirements/site.txt
	$(LOCK) --extra site --group demo --extra apprise --constraint requirements/site.txt \
		--output-file requirements/apprise.txt
	$(LOCK) --extra site --group demo --group dev --constraint requirements/apprise.txt \
		--output-file requirements/dev.txt
	$(LOCK) --extra site --group demo --group dev --group bench --constraint requirements/dev.txt \
		--output-file requirements/bench.txt

# --- The environment ---------------------------------------------------------------------------

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo "make: $(PYTHON) was not found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or newer is needed; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.site: requirements/site.txt $(VENV)/.made
	@echo "Installing $$(grep -c '==' requirements/site.txt) locked packages for the site"
	@$(PIP) install --require-hashes --progress-bar on -r requirements/site.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.site
	@echo "Installing the rest of $$(grep -c '==' requirements/dev.txt) locked packages for development"
	@$(PIP) install --require-hashes --progress-bar on -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	@echo "Installing the rest of $$(grep -c '==' requirements/bench.txt) locked packages for benchmarks"
	@$(PIP) install --require-hashes --progress-bar on -r requirements/bench.txt
	@touch $@
