PYTHON ?= python3
RUN := .venv/bin/python
export PORT HOST STATE

.DEFAULT_GOAL := help
.PHONY: help setup dev test test-unit test-worker lint fmt bench deploy test-production

help: ## show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

setup: ## install what is missing into this folder (the other commands do it by themselves)
	@$(PYTHON) tools/setup_environment.py

dev: setup ## serve the Worker on http://127.0.0.1:8787 (PORT=, HOST=, STATE=)
	@exec $(RUN) -m tools.dev

test: test-unit test-worker ## run every test

test-unit: setup
	$(RUN) -m pytest tests --ignore=tests/worker --ignore=tests/clients -n auto

test-worker: setup
	$(RUN) -m pytest tests/worker

test-production: setup ## run the worker tests on production's runtime (needs uv, Node.js 22 and full internet access)
	@$(PYTHON) tools/setup_environment.py --deploy
	QWEN_WORKER_RUNTIME=production $(RUN) -m pytest tests/worker --timeout=900

lint: setup ## check style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

fmt: setup ## format the Python files
	$(RUN) -m ruff check --fix-only .
	$(RUN) -m ruff format .

bench: setup ## measure CPU, latency and memory against the yardsticks
	$(RUN) -m bench

deploy: ## deploy to Cloudflare
	@$(PYTHON) -m tools.deploy
