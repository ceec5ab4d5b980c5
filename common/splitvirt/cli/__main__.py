"""`splitvirt`: the commands beside virsh."""

import argparse
import os
import sys
from importlib import import_module
from importlib.util import find_spec

from splitvirt.api.errors import VirtError

# What a command is called, what it does. Its module has `arguments(parser)` and `run(options) -> exit status`.
COMMANDS = {
    "run": "run one guest from its XML to its end",
    "status": "show the whole suite on one screen",
    "doctor": "explain what is wrong on this host, and what mends it",
    "call": "make any call of any driver by its name",
    "shell": "a Python prompt with a driver at hand",
}


def parser_for(command: str) -> argparse.ArgumentParser:
    """The parser of one command, the same that man pages and completions are made from."""
    what = COMMANDS[command]
    exits = "".join(f"\n  {status:<4} {text}" for status, text in exits_of(command).items())
    examples = "".join(f"\n  {line}" for line in examples_of(command))
    made = argparse.ArgumentParser(
        prog=f"splitvirt {command}",
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=f"exit status:{exits}" + (f"\n\nexamples:{examples}" if examples else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    import_module(f"splitvirt.cli.{command}").arguments(made)
    return made


def exits_of(command: str) -> dict[int, str]:
    """The exit statuses of one command: its own, and those of all."""
    own: dict[int, str] = import_module(f"splitvirt.cli.{command}").EXITS
    return dict(
        sorted(({1: "it failed, for the reason that is printed", 2: "the command line is wrong"} | own).items())
    )


def examples_of(command: str) -> list[str]:
    """Command lines that show what one command is for: those in its module's documentation."""
    text = import_module(f"splitvirt.cli.{command}").__doc__ or ""
    return [line for line in text.splitlines() if line.startswith("splitvirt ")]


def main(argv: list[str] | None = None) -> int:
    """Run one command; 2 when it is not known, 1 with the reason in a line when it fails, 130 after Ctrl-C."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["--version"]:
        import splitvirt

        print(f"splitvirt {splitvirt.__version__}")
        return 0
    if not words or words[0] not in COMMANDS or find_spec(f"splitvirt.cli.{words[0]}") is None:
        shown = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
        if words and not words[0].startswith("-"):
            print(f"splitvirt: no such command: {words[0]}\n", file=sys.stderr)
        print(f"usage: splitvirt COMMAND ...\n\n{shown}\n\nsplitvirt COMMAND --help tells more.", file=sys.stderr)
        return 0 if words in (["--help"], ["-h"]) else 2
    options = parser_for(words[0]).parse_args(words[1:])
    try:
        status: int = import_module(f"splitvirt.cli.{words[0]}").run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        return 141
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except VirtError as error:
        print(f"splitvirt: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        from splitvirt.host.refusal import told

        print(f"splitvirt: {told(error)}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
