# `make help` lists the targets. `make run` and `make test` are all that a new clone needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Half of the functional tests' time is waiting, so more processes than cores. A file's tests share what they started.
PARALLEL := -n 4 --dist loadfile --max-worker-restart 0
# Extra arguments for pip, for example: make run PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-fast lint bench bench-lifecycle bench-generation constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## Install, export `fast`, start everything in the foreground, then train the model `intent`
	@$(BIN)/conch export fast --if-missing
	@export CONCH_SEED_INTENTS=$${CONCH_SEED_INTENTS:-true}; exec $(BIN)/conch serve --parent-pid $$PPID

# The tests start some hundred processes: each would compile the sources again where the environment forbids bytecode.
test test-fast: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP) ## Run the whole test suite, functional tests against the real Triton included
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(STAMP) ## Run the tests that need no Triton
	$(BIN)/python -m pytest $(PARALLEL) -m "not functional"

lint: $(STAMP) ## Check the code with ruff
	$(BIN)/ruff check .

bench: $(STAMP) ## Measure embeddings against peers and write benchmarks/RESULTS.md (about 48 minutes)
	@$(BIN)/conch export fast --if-missing
	@$(BIN)/conch export fast --name fast-int8 --precision int8 --min-cosine 0.998 --if-missing
	$(BIN)/python -m benchmarks.embeddings

bench-lifecycle: $(STAMP) ## Measure the control plane and write benchmarks/LIFECYCLE.md (about 8 minutes)
	$(BIN)/python -m benchmarks.lifecycle

bench-generation: $(STAMP) ## Measure text generation against peers and write benchmarks/GENERATION.md (about 20 minutes)
	$(BIN)/python -m benchmarks.generation

constraints: ## Resolve constraints.txt again for every supported Python
	$(PYTHON) tools/lock_constraints.py

clean: ## Remove the virtual environments; models and state stay
	rm -rf $(VENV) .bench-venv .bench-llama

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) tools/check_platform.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[serving,export,training,test]'
	@touch $@
