# Two commands are enough: `make run` and `make test`. Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python scripts/install.py --constraint constraints.txt

.SILENT:
.PHONY: run test check bench builtin clean

run: $(VENV)/.run
	$(BIN)/python app.py $(if $(V),-v)        # make run V=1 shows what libraries log

test: $(VENV)/.dev $(VENV)/node_modules/axe-core
	sh scripts/ensure_browser.sh
	$(BIN)/python -m engine.sandbox || true    # without it the tests of the wasm sandbox are skipped
	# The browser files, which take longest, come first. With bytecode caches: the tests start many processes.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.check_space

bench: $(VENV)/.dev
	$(INSTALL) -r requirements-bench.txt
	$(BIN)/python -m benchmarks.make_model bench-models/110m
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.api
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.browser
	$(BIN)/python -m benchmarks.chats

builtin: $(VENV)/.dev        # trains the built-in model again: about an hour on 2 cores
	$(BIN)/python -m scripts.builtin_model.train --out engine/models/builtin
	$(BIN)/python -m scripts.builtin_model.evaluate engine/models/builtin --card

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.txt constraints.txt
	echo "Installing what the app needs into $(VENV)"
	$(INSTALL) -r requirements.txt
	touch $@

$(VENV)/node_modules/axe-core: $(BIN)/python      # the accessibility checks of the browser tests
	npm install --no-audit --no-fund --silent --prefix $(VENV) axe-core@4

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	echo "Installing what the tests need into $(VENV)"
	$(INSTALL) -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) bench-models .pytest_cache .mypy_cache .ruff_cache
