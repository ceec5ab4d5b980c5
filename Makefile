.PHONY: setup demo test test-fast test-long bench install clean
PYTHON = .venv/bin/python
PYTEST = $(PYTHON) -m pytest

setup:
	@packaging/setup.sh

demo: setup
	@$(PYTHON) packaging/demo.py

# Both sets run, whatever the first one says. A test that fails is tried once more: tests/conftest.py has the bounds.
RERUN = --reruns 1 --reruns-delay 3

test: setup
	@fast=0; $(MAKE) --no-print-directory test-fast || fast=1; $(MAKE) --no-print-directory test-long && exit $$fast

test-fast: setup
	$(PYTEST) $(RERUN) -m 'not long'

test-long: setup
	$(PYTEST) $(RERUN) -m long

bench: setup
	cd tests && ../$(PYTHON) -m bench ../docs/bench

# Units, sockets, bus activation, polkit actions; as root. See packaging/install.sh for its options.
install:
	packaging/install.sh

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache
