.PHONY: setup demo test test-fast test-long bench clean
PYTHON = .venv/bin/python
PYTEST = $(PYTHON) -m pytest

setup:
	@packaging/setup.sh

demo: setup
	@$(PYTHON) packaging/demo.py

test: test-fast test-long

test-fast: setup
	$(PYTEST) -m 'not long'

test-long: setup
	$(PYTEST) -m long

bench: setup
	cd tests && ../$(PYTHON) -m bench ../docs/bench

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache
