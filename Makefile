# `make demo` and `make test` set up everything they need, once.
PYTHON ?= python3
VENV := .venv
# make TORCH_INDEX=https://download.pytorch.org/whl/cpu demo   takes the small CPU build of torch on Linux
TORCH_INDEX ?=
# make WORKERS=8 test   runs the tests in so many processes, each with one thread and 1 GB of memory
WORKERS ?= 2
READY := $(VENV)/.ready

.PHONY: demo test lint docs test-extras test-launchers test-newest test-lowest test-pinned clean

demo: $(READY)
	$(VENV)/bin/zsc run knob=attn_bias

test: $(READY)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist=worksteal

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# With the extras that have many packages of their own, in environments that see the packages of the other: Ray; the page
# of `zsc play`, trackers of experiments, notebooks and the site of the documentation
test-launchers: $(READY)
	scripts/overlay.sh $(VENV) $(VENV)-launchers submitit ray
	$(VENV)-launchers/bin/python -m pytest tests/test_launchers.py tests/test_launch.py

EXTRAS := $(VENV)-extras
$(EXTRAS)/.ready: $(READY)
	scripts/overlay.sh $(VENV) $(EXTRAS) --editable '.[play,wandb,mlflow,tensorboard,docs]'
	touch $@

test-extras: $(EXTRAS)/.ready
	$(EXTRAS)/bin/python -m pytest -n $(WORKERS) tests/test_play_page.py tests/test_loggers.py tests/test_notebooks.py --dist=loadfile

docs: $(EXTRAS)/.ready
	NO_MKDOCS_2_WARNING=1 $(EXTRAS)/bin/python -m mkdocs build --strict

# In an environment of their own, with the newest or the lowest versions that pyproject.toml allows, or the pinned ones:
# make test-lowest PYTHON=python3.12 TESTS="tests/test_knobs_*.py"   HOLD="torch numpy" holds these at constraints.txt
test-newest test-lowest test-pinned:
	PYTHON="$(PYTHON)" HOLD="$(HOLD)" WORKERS="$(WORKERS)" scripts/test_versions.sh $(@:test-%=%) $(TESTS)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "zsc needs Python 3.11 to 3.13; this is %d.%d. Try: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-*
