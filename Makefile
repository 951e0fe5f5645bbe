# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
# A virtual environment in .venv is made from requirements.lock first; it is made again when the lock changes.

SCALE ?= laptop
CORES ?= $(shell python3 -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
PYTHON ?= python3
ARGS ?=

venv := .venv
python := $(venv)/bin/python
ready := $(venv)/.ready
# --quiet and --rerun-triggers take all words that follow, so ARGS comes after an option that takes none.
# Files are up to date by what they were made from, not by their times: data, settings and code are in the parameters.
snakemake := $(python) -m snakemake --cores $(CORES) --rerun-triggers code params input software-env \
	--quiet rules --rerun-incomplete --show-failed-logs

.DEFAULT_GOAL := help
.PHONY: help environment reproduce smoke test test-quick test-faults lint schema cost-table bench clean clean-results \
	lock unlock

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(ready): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "zeroloss needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": set PYTHON=python3.x")'
	@$(PYTHON) -m venv $(venv) || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	$(python) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(python) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

environment: $(ready) ## make .venv from the lock

reproduce: $(ready) ## data, training, figures, tables, claims, page (SCALE=tiny|laptop|paper, CORES=n, ARGS="more for snakemake")
	@# if ARGS ends in a --config of its own, the scale joins its values: a second --config would replace the first
	@$(snakemake) $(ARGS) $(if $(findstring --config ,$(ARGS)),,--config) scale=$(SCALE)
	@echo "open results/$(SCALE)/index.html"

smoke: ## the same on toy sizes
	@$(MAKE) --no-print-directory reproduce SCALE=tiny

test: $(ready) ## all tests, on two cores
	$(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-quick: $(ready) ## tests that take seconds
	$(python) -m pytest -m "not slow and not workflow and not browser" $(ARGS)

test-faults: $(ready) ## kill, damage, fill up and swap files on purpose, at full counts (half an hour; some need root)
	ZEROLOSS_FAULTS=full $(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/faults -m faults $(ARGS)

lint: $(ready) ## ruff, types, snakefmt, snakemake --lint, known vulnerabilities
	$(python) -m ruff check src tests benchmarks .ci
	$(python) -m ruff format --check src tests benchmarks .ci
	$(python) -m mypy
	$(python) -m snakefmt --check Snakefile workflow
	$(python) -m snakemake --lint
	$(python) .ci/audit.py

schema: $(ready) ## write workflow/schemas/config.schema.yaml from the models
	$(python) -m zeroloss config --schema > workflow/schemas/config.schema.yaml

cost-table: $(ready) ## write what the paper scale needs into docs/cluster.md
	@table=$$(mktemp) && ZEROLOSS_DATA= XDG_CACHE_HOME=$$(dirname $$table)/none $(python) -m zeroloss cost --scale paper > $$table && \
	sed -i.bak -e "/^<!-- cost:/r $$table" -e '/^<!-- cost:/,/^<!-- end of cost/{//!d;}' docs/cluster.md && rm docs/cluster.md.bak $$table

bench: $(ready) ## measure the engines against plain scripts and the floor
	$(python) benchmarks/du2018a_speed.py
	$(python) benchmarks/deep_linear_speed.py
	$(python) benchmarks/minibatch_speed.py
	$(python) benchmarks/particle_flow_speed.py
	$(python) benchmarks/kernels_speed.py

lock: $(ready) ## bring requirements.lock up to date with pyproject.toml (keeps versions that still fit)
	$(python) -m pip install --quiet pip-tools
	$(python) -m piptools compile --quiet --extra workflow --extra dev --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml
	@sed -i.bak -E 's/^(torch==[0-9.]+)\+.*/\1/' requirements.lock && sed -i.bak -E "/^(#|$$)/d" requirements.lock && rm requirements.lock.bak

unlock: $(ready) ## after a killed run: give the folder free again
	$(python) -m snakemake --unlock

clean: ## remove .venv, caches and Snakemake's records; results stay
	rm -rf $(venv) .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-results: ## remove what runs left (not the committed metrics of the paper scale)
	rm -rf results/tiny results/laptop
