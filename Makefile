# Two commands matter: `make demo` and `make test`. Both set up .venv (locked versions) on first use.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
STAMP := .venv/.installed

.PHONY: install demo test check docs clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "xreid needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python lacks venv; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@test -d .venv || $(PYTHON) -c 'import shutil, sys; free = shutil.disk_usage(".").free / 1e9; sys.exit(None if free >= 9 else f"Setting up .venv takes 9 GB while it is done and 7 GB after (most of it PyTorch and its CUDA libraries), and {free:.1f} GB are free here; make room and try again")'
	@echo "Setting up .venv with the locked versions (a few minutes) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/xreid demo demo

test: $(STAMP)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site in build/docs: warnings are errors, links are checked, the network is not needed.
docs: $(STAMP)
	rm -rf build/docs build/doctrees
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -j 2 -d build/doctrees docs build/docs
	$(BIN)/python docs/check_site.py build/docs

lock:
	uv pip compile --universal --python-version 3.11 --extra dev --no-emit-index-url --no-header --no-annotate -q pyproject.toml -o requirements.lock

clean:
	rm -rf .venv demo build dist docs/api
