# Two commands for a newcomer: `make demo` and `make test`. Both need Python and pip, nothing else.
# `make quick` leaves out the tests that take seconds each: Ray, kills, compilers, whole trainings,
# the browser.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-run

# Each test process loads torch and a network of its own, half a gigabyte. A file's tests stay
# together, since they share what they set up.
SIDE_BY_SIDE := -n auto --maxprocesses 8 --dist loadfile

# The packages behind `make docs` say so of themselves, at length, at every call.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test quick lint docs build release-check clean

demo: $(VENV)/.installed
	$(BIN)/camcli batch sample_images --out $(DEMO) --overwrite --contact-sheet 3x3
	@echo
	@echo "Look at $(DEMO)/contact_sheet.jpg and $(DEMO)/overlays/, and at $(DEMO)/predictions.csv."

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

quick: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow'

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin

# The site, in site/: open site/index.html. A warning is an error.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m mkdocs build --strict --quiet

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# The plain install brings the CUDA build of torch, about 5 GB. See the README for a small one.
$(VENV)/.installed: $(BIN)/python pyproject.toml
	@echo "Installing camcli and PyTorch: about 5 GB the first time, some minutes."
	$(BIN)/python -m pip install --editable .
	@touch $@

# The reference libraries are for tests only. Without their dependencies, because grad-cam asks for
# opencv-python, which would replace the headless cv2 by one that needs libGL.
$(VENV)/.installed-dev: $(VENV)/.installed tests/references.txt
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/references.txt
	@touch $@

# The wheel and the sdist, in dist/.
build: $(VENV)/.installed-dev
	rm -f dist/camcli-*
	$(BIN)/python -m build --outdir dist

# The same, installed in a fresh environment and tested outside the checkout: see CONTRIBUTING.md.
release-check: $(VENV)/.installed-dev
	$(BIN)/python ci/release_check.py

clean:
	rm -rf $(DEMO) dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
