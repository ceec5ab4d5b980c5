"""`splitvirt shell`: a Python prompt with a driver at hand, its calls without `await`."""

import argparse
import code
import contextlib
import sys
from typing import Any

from splitvirt.api.errors import VirtError

EXITS = {0: "the prompt was left"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the subcommand takes."""
    parser.add_argument("-c", "--connect", default="qemu:///system", metavar="URI", help="which driver to open")
    parser.add_argument("-r", "--readonly", action="store_true", help="use the read-only socket")


def run(options: argparse.Namespace) -> int:
    """Open the driver as `hv` and read what is typed until its end. 0, or 1 when the driver cannot be opened."""
    from splitvirt import sync

    try:
        driver = sync.connect(options.connect, readonly=options.readonly)
    except VirtError as error:
        print(f"splitvirt: {error}", file=sys.stderr)
        return 1
    names = {"hv": driver}
    _edit_lines(names)
    try:
        Prompt(names).interact(f"{options.connect} is hv; try hv.domains()", exitmsg="")
    finally:
        driver.close()
    return 0


class Prompt(code.InteractiveConsole):
    """Python's, but for a call that fails: its error is a line, for the way to it is of no interest."""

    def showtraceback(self) -> None:
        """Show the error being handled."""
        error = sys.exc_info()[1]
        if isinstance(error, VirtError):
            self.write(f"{type(error).__name__}: {error}\n")
        else:
            super().showtraceback()


def _edit_lines(names: dict[str, Any]) -> None:
    """Arrow keys, history and Tab, where Python has them."""
    with contextlib.suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
