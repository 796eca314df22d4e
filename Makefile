.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Start the whole tracker on this machine
	@exec $(BIN)/python main.py

test: .venv/dev.stamp ## Run the tests on servers of their own (or TEST_DATABASE_URL, TEST_REDIS_URL)
	@# An environment that keeps no bytecode would compile the app anew for each process that the tests start.
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto

test-deep: .venv/dev.stamp ## Run the long tests: full disks, frozen servers, millions of rows, 2,000 random histories
	$(BIN)/pytest -m deep
	RECORD_EXAMPLES=2000 $(BIN)/pytest tests/record/test_record_machine.py

env: ## Write .env with new secrets, for docker compose
	@$(PYTHON) deploy/make_env.py

backup: ## Back up the database while everything runs: make backup [FILE=…]
	@deploy/backup backup $(FILE)

restore: ## Restore a backup into an empty database: make restore FILE=…
	@deploy/backup restore $(FILE)

check: .venv/dev.stamp ## Format, lint, types, import rules, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.check_migrations

format: .venv/dev.stamp ## Format the code and fix what lint can fix
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: .venv/dev.stamp ## Write the generated documents: the collection, the API reference, the table of settings
	@$(BIN)/python -m docs.generator

bench: .venv/dev.stamp ## Measure the speed, as ratios within one run: make bench [NAME=requests]
	@NAME="$(NAME)" $(BIN)/python -m bench

postman: .venv/run.stamp ## Run the Postman collection against a fresh tracker (needs Node)
	$(BIN)/python postman/run.py

clients: .venv/dev.stamp ## Check the OpenAPI document, generate clients from it and use one (needs Node)
	$(BIN)/pytest -m clients tests/clients

migration: .venv/dev.stamp ## Draft a migration: make migration name="add due reminders"
	$(BIN)/alembic revision --autogenerate --message "$(name)"

lock: .venv/dev.stamp ## Resolve and lock the dependencies again
	$(BIN)/pip install --quiet uv
	PATH="$(BIN):$$PATH" $(BIN)/python .ci/lock

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TaskTrackerPro needs Python 3.11 or newer")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'Python lacks venv; on Debian: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock | .venv/bin/python
	sed '/^# --- dev/,$$d' requirements.lock | $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r /dev/stdin
	@touch $@

.venv/dev.stamp: requirements.lock .venv/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

.PHONY: help run test test-deep env backup restore check format docs bench postman clients migration lock
