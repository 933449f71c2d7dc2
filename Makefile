# The scripts in tools/ do the work; they need nothing but bash and Python.
PYTHON := $(or $(KERAS_POSE_VENV),.venv)/bin/python

.PHONY: help demo test lint bench parity

help:  ## list these targets
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+): *## /\1: /' | column -t -s ':' 2>/dev/null || cat $(MAKEFILE_LIST)

demo:  ## from a fresh machine to drawn poses, in demo_output
	bash tools/demo.sh

test:  ## the whole test suite under JAX, TensorFlow and PyTorch
	bash tools/test.sh

parity:  ## every published architecture against the reference, hours; resumes from docs/parity.json
	@for backend in $(or $(KERAS_POSE_BACKENDS),jax tensorflow torch); do \
	    KERAS_BACKEND=$$backend $(PYTHON) tools/parity.py --record docs/parity.json || failed=1; \
	done; \
	$(PYTHON) tools/coverage.py; $(PYTHON) tools/coverage_data.py || failed=1; $(PYTHON) tools/check_presets.py --out docs/presets.md || failed=1; \
	exit $${failed:-0}

lint:  ## style and format (after make test, which installs ruff)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

bench:  ## speed of every backend beside ONNX Runtime and LiteRT
	$(PYTHON) tools/benchmark.py
