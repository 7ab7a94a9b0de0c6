# The developer's verbs; CI runs the same ones. `make` alone lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help install develop repro results compare test test-oldest check fix ablation leaderboard wheel bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv and install what the pipeline needs

develop: $(VENV)/.developed  ## install, and what tests and checks need

repro: install  ## run every stage that is out of date, then print the result table
	latent-outliers check
	dvc repro
	latent-outliers quality
	latent-outliers results

results: install  ## print the result table of the last run
	latent-outliers results

compare: install  ## compare runs side by side: make compare REVS="main my-experiment"
	latent-outliers compare $(or $(REVS),HEAD)

test: develop  ## run all tests, two at a time
	OMP_WAIT_POLICY=passive pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-oldest: develop  ## run the tests about files of strangers with the oldest libraries that pyproject.toml admits
	$(PYTHON) -m venv --clear $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip install --quiet --disable-pip-version-check uv
	grep '^torch==' constraints.txt > $(VENV)/torch.txt  # set UV_FIND_LINKS to a folder with a CPU build
	$(VENV)/oldest/bin/uv pip install --quiet --python $(VENV)/oldest/bin/python --constraints $(VENV)/torch.txt \
	  --resolution lowest-direct --requirements pyproject.toml --extra pipeline --extra pretrained 'pytest>=9' 'pytest-timeout>=2.4'
	PATH="$(CURDIR)/$(VENV)/oldest/bin:$$PATH" python -m pytest --override-ini addopts= \
	  --override-ini filterwarnings=default tests/detector/test_hostile.py tests/detector/test_bundle.py \
	  tests/store/test_hostile.py tests/project/test_hostile_params.py

check: develop  ## lint, formatting and strict types
	ruff check .
	ruff format --check .
	mypy

fix: develop  ## mend what the linter and the formatter can, write the code dependencies into dvc.yaml
	ruff check --fix .
	ruff format .
	latent-outliers dependencies

ablation: install  ## train with every loss on every kind of outliers, write docs/benchmarks/ablation.md (about an hour)
	python -m benchmarks.ablation

leaderboard: install  ## compare our default with published methods on real data, write docs/benchmarks/results.md (many hours)
	python -m benchmarks.leaderboard
	python -m benchmarks.leaderboard --rows

wheel: install  ## build the package for `pip install`, into dist/
	$(VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

bench: develop  ## measure speed as ratios in one run, write benchmarks/results/
	python -m benchmarks.bench

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: found $$($(PYTHON) --version), wanted Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), a minute or two the first time"
	$(INSTALL) --editable '.[pipeline]'
	@touch $@

$(VENV)/.developed: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

# MADE: the outputs of the stages in dvc.yaml; a test compares them. LEFT: unfinished work, and what killed processes
# left of files. `find` follows no symbolic link, so nothing outside of the project is deleted. What has a .dvc file
# beside it was imported.
METHODS := $(basename $(notdir $(wildcard pipeline/outliers/methods/[a-z]*.py)))
MADE := data/guarded.json data/latents/* $(METHODS:%=data/outliers/%) data/probes data/rival data/scores data/views models/encoder \
  models/bundle models/decision $(METHODS:%=models/denoiser/%) models/detector models/pretrained_teacher models/teacher \
  reports/guard.json reports/metrics.json reports/plots reports/quality reports/quality.json reports/report.html \
  reports/summary.json reports/training/encoder.csv $(METHODS:%=reports/training/denoiser/%.csv) \
  reports/training/teacher reports/training/train

LEFT := .work data/.work data/latents/.work data/outliers/.work models/.work models/denoiser/.work reports/.work \
  $(MADE:%=%.*.partial)

clean:  ## delete what the stages made; the DVC cache, .venv, imported stores and all that is yours stay
	@find . -maxdepth 4 \( $(MADE:%=-path './%' -o) $(LEFT:%=-path './%' -o) -false \) -prune ! -name '*.dvc' ! -exec test -e '{}.dvc' \; \
	  -print -exec rm -rf {} +
