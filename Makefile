PYTHON ?= python3
RUN := .venv/bin/python
export PORT HOST STATE URL FILE SECRET LIVE ID

.DEFAULT_GOAL := help
.PHONY: help setup dev test test-unit test-worker lint fmt bench doctor deploy login login-secret logs test-production test-pyodide test-clients

help: ## show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

setup: ## install what is missing into this folder (the other commands do it by themselves)
	@$(PYTHON) tools/setup_environment.py

dev: ## serve the Worker on http://127.0.0.1:8787 (PORT=, HOST=, STATE=)
	@exec $(PYTHON) -m tools.dev

test: test-unit test-worker ## run every test

test-unit: setup
	$(RUN) -m pytest tests --ignore=tests/worker --ignore=tests/clients --ignore=tests/production -n auto

# They wait more than they work: two for each core.
test-worker: setup
	$(RUN) -m pytest tests/worker -n $$(( 2 * $$(nproc 2>/dev/null || echo 2) )) --dist loadfile

test-production: setup ## run the worker tests on production's runtime (needs uv, Node.js 22 and full internet access)
	@$(PYTHON) tools/setup_environment.py --deploy
	QWEN_WORKER_RUNTIME=production $(RUN) -m pytest tests/worker --timeout=900

test-pyodide: setup ## run the Worker's code on the Pyodides of production, and prepare a deployment
	@$(PYTHON) tools/setup_environment.py --production
	$(RUN) -m pytest tests/production --timeout=180

test-clients: setup ## run real clients against the Worker: LangChain, Vercel AI SDK, LiteLLM, Chromium, ...
	@$(PYTHON) -m tests.clients.install
	.venv-clients/bin/python -m pytest tests/clients

# What vermin leaves out is in platform/, which runs on Pyodide only: on Python 3.12 and newer.
lint: setup ## check style, types and imports
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	PYTHONPATH=src .venv/bin/lint-imports --no-cache --no-logo
	.venv/bin/vermin --quiet --violations --no-tips -vvv --target=3.11- --exclude 'asyncio.Task(eager_start)' --exclude asyncio.Task.get_context src

fmt: setup ## format the Python files
	$(RUN) -m ruff check --fix-only .
	$(RUN) -m ruff format .

bench: setup ## measure CPU, latency and memory against the yardsticks
	@$(PYTHON) tools/setup_environment.py --production
	$(RUN) -m bench

doctor: ## find what is wrong with this machine, .dev.vars (LIVE=1: call Qwen) or a gateway (URL=)
	@$(PYTHON) -m tools.doctor

deploy: ## deploy to Cloudflare (ARGS=--dry-run: everything but that)
	@$(PYTHON) -m tools.deploy $(ARGS)

login: ## log in at Qwen, for .dev.vars or as a secret of the deployed Worker (SECRET=)
	@$(PYTHON) -m tools.login

logs: ## show the log of the deployed Worker (ID=: one request)
	@$(PYTHON) -m tools.logs $(ARGS)

login-secret: ## make the Qwen Code CLI's login a secret of the deployed Worker (FILE=, SECRET=)
	@$(PYTHON) -m tools.put_login
