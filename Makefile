# make setup  makes .venv with secgen and all that it needs, and runs nothing
# make demo   sets everything up and runs the main job on an embedded real cohort
# make test   sets up, checks style, types and imports, and passes the tests
# make test-full   also the slow studies, and the mutations
# make mutations   puts classic privacy bugs into copies of the tree: do the tests notice each?
# make field-test   three hospitals over mutual TLS: killed, restarted, changed, stopped, audited
# make examples    the example documents in docs/examples, from the specs
# make docs   builds the documentation to build/site, without network

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo docs examples test test-full field-test mutations lint types imports lock clean

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "secgen needs Python 3.11 or newer (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
	  || { echo "python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)
	@echo "secgen is at $(BIN)/secgen"

demo: $(READY)
	$(BIN)/python tools/demo.py

test: $(READY) lint types imports
	$(BIN)/python -m pytest -n 3 --dist worksteal

test-full: $(READY) lint types imports
	SECGEN_FULL=1 $(BIN)/python -m pytest -n 2 -m "slow or not slow"
	$(BIN)/python -m tools.mutations

mutations: $(READY)
	$(BIN)/python -m tools.mutations

field-test: $(READY)
	$(BIN)/python -m tools.field_test

examples: $(READY)
	$(BIN)/python -m tools.examples

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open build/site/index.html (search needs a server: python3 -m http.server -d build/site)"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Type checkers do not know of package-dir: they are shown the tree as it will be installed.
build/tree: $(READY) FORCE
	@rm -rf build/tree && mkdir -p build/tree && cp -r secgen_dsl build/tree/ \
	  && cp -r backends grammar build/tree/secgen_dsl/

types: build/tree
	cd build/tree && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p secgen_dsl

imports: build/tree
	cd build/tree && ../../$(BIN)/lint-imports --no-cache --config ../../.importlinter

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	  --extra dev --no-emit-index-url --custom-compile-command "make lock" \
	  pyproject.toml build-requirements.in -o requirements.lock

clean:
	rm -rf build $(VENV)

FORCE:
