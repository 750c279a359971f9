# `make repro` and `make test` each work as the first command in a fresh clone with Python 3.11, make and git.

PYTHON ?= python3.11
# DVC starts the stages with the `python` it finds first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# A file at a time on each core.
SHARED := --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: repro ablation test quick lint gpu-check lock
.DEFAULT_GOAL := repro

repro: .venv/runtime.installed  ## run the pipeline, only what changed, and show its results
	dvc repro
	@cat metrics/summary.txt
	@echo "Report: $(CURDIR)/metrics/report.html (open it in a browser)"

ablation: .venv/runtime.installed  ## every pooler of the slices, and fewer training patients; what is finished is kept
	dvc repro data/ablation/dvc.yaml
	@cat metrics/ablation.md metrics/learning_curve.md

test: .venv/development.installed  ## run all tests
	pytest $(SHARED)

quick: .venv/development.installed  ## run the tests but those of whole stages, the slow ones and random damage
	pytest $(SHARED) -m "not system and not slow and not mutation"

lint: .venv/development.installed  ## style and types
	ruff check .
	ruff format --check .
	mypy

gpu-check: .venv/runtime.installed  ## on a machine with a GPU: the same results as on a CPU? how fast?
	python -m benchmarks.gpu

lock:  ## pin every package beneath the requirements, in a new environment
	set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --requirement requirements.txt --requirement requirements-dev.txt; \
	"$$folder/venv/bin/python" -m pip freeze > "$$folder/frozen"; \
	echo "# Every package beneath requirements.txt and requirements-dev.txt. Made by \`make lock\`; do not edit." \
		> "$$folder/constraints.txt"; \
	sed 's/+.*//' "$$folder/frozen" | LC_ALL=C sort --ignore-case >> "$$folder/constraints.txt"; \
	mv "$$folder/constraints.txt" constraints.txt

.venv/runtime.installed: requirements.txt constraints.txt dmdbt/backbones/checkpoints.py
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --requirement requirements.txt --constraint constraints.txt
	python -m dmdbt weights fetch mobilenet_v2
	touch $@

.venv/development.installed: requirements-dev.txt .venv/runtime.installed
	python -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	touch $@
