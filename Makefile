# The scripts in tools/ do the work; they need nothing but bash and Python.
PYTHON := $(or $(KERAS_POSE_VENV),.venv)/bin/python

.PHONY: help demo test lint bench parity

help:  ## list these targets
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+): *## /\1: /' | column -t -s ':' 2>/dev/null || cat $(MAKEFILE_LIST)

demo:  ## from a fresh machine to drawn poses, in demo_output
	bash tools/demo.sh

test:  ## the whole test suite under JAX, TensorFlow and PyTorch
	bash tools/test.sh

parity:  ## only the tests against reference values
	bash tools/test.sh -m parity

lint:  ## style and format (after make test, which installs ruff)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

bench:  ## speed of every backend beside ONNX Runtime and LiteRT
	$(PYTHON) tools/benchmark.py
