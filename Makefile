.PHONY: setup demo test test-fast test-long bench install clean
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

# Units, sockets, bus activation, polkit actions; as root. See packaging/install.sh for its options.
install:
	packaging/install.sh

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache
