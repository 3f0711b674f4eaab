# Every target makes the environment that it needs; nothing has to be installed by hand but Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TASK ?= 1+(2*3)/4-5
WORKERS ?= 3
PORT ?= 8080
DATA ?= data
SEEDS ?= 1000
KILLS ?= 200

.DEFAULT_GOAL := help
.PHONY: help demo run test check simulate chaos mutants docker-test browser-test ruby-test openapi-test bench bench-peers

help: ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

$(VENV)/runtime: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

demo: $(VENV)/runtime ## Start a master and WORKERS workers (3), submit TASK, print its answer, stop all.
	@$(BIN)/python -m deploy.local --workers $(WORKERS) --demo="$(TASK)"

run: $(VENV)/runtime ## Start a master at PORT (8080), with its record in DATA (data/), and WORKERS workers (3), until Ctrl-C.
	@$(BIN)/python -m deploy.local --workers $(WORKERS) --port $(PORT) --data "$(DATA)"

test: $(VENV)/dev ## Run all tests that need no Docker, no browser and no Ruby.
	$(BIN)/python -m pytest tests --ignore tests/docker --ignore tests/browser --ignore tests/ruby \
		--numprocesses 3

check: $(VENV)/dev ## Check format, lint, types and branch coverage.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit tests/contract tests/integration tests/simulation --cov --numprocesses 2

chaos: $(VENV)/dev ## Kill masters KILLS times under load, and say what was lost.
	$(BIN)/python -m tests.chaos --points all
	$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $$(date +%s)

simulate: $(VENV)/dev ## Run SEEDS random schedules of faults against a whole master in virtual time.
	$(BIN)/python -m tests.simulation $(SEEDS)

mutants: $(VENV)/dev ## Take each safeguard away in a copy, one at a time, and see its test fail.
	$(BIN)/python -m tests.mutants

docker-test: $(VENV)/dev ## Build the images and test them under docker-compose (needs root and Debian, or an engine).
	tests/docker/run

browser-test: $(VENV)/dev ## Test the dashboard in a real Chromium (needs root and Debian, or a Chromium).
	tests/browser/run

ruby-test: $(VENV)/dev ## Test the worker in Ruby of docs/workers.md (needs root and Debian, or a Ruby).
	tests/ruby/run

$(VENV)-openapi/ready: tests/openapi/requirements.txt
	$(PYTHON) -m venv $(VENV)-openapi
	$(VENV)-openapi/bin/python -m pip install --quiet --requirement tests/openapi/requirements.txt
	touch $@

openapi-test: $(VENV)/dev ## Hold a live master to its own description of its API, with schemathesis.
	tests/openapi/run

bench: $(VENV)/dev ## Measure throughput and latency, and print the table of docs/performance.md.
	$(BIN)/python -m bench.run

$(VENV)-peers/ready: bench/peers/requirements.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --requirement bench/peers/requirements.txt
	touch $@

bench-peers: $(VENV)/dev $(VENV)-peers/ready ## Compare with Dask, Ray, Celery and Dramatiq on the same expressions.
	$(BIN)/python -m bench.peers --python $(VENV)-peers/bin/python
