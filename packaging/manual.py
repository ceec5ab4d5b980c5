#!/usr/bin/env python3
"""Writes man pages (docs/man) and shell completion (packaging/completion) from the command lines' own declarations.

`packaging/manual.py` writes them into the tree, where they are kept; `--check` says whether they are current.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from splitvirt.cli.__main__ import COMMANDS, parser_for
from splitvirt.daemon.main import VERSION
from splitvirt.daemon.main import parser as daemon_parser

TOP = Path(__file__).parents[1]
DAEMONS = ("virtqemud", "virtnetworkd")
SOCKETS = {
    "/run/libvirt/{name}-sock": "calls (SocketMode= and polkit decide who may)",
    "/run/libvirt/{name}-sock-ro": "read-only calls",
    "/run/libvirt/{name}-admin-sock": "virt-admin, for root",
    "/run/libvirt/{name}-metrics-sock": "OpenMetrics over HTTP, while the daemon runs",
}


def roff(text: str) -> str:
    """Text for a man page."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def usage(action: argparse.Action) -> str:
    """How an option or argument is written."""
    value = action.metavar or action.dest.upper()
    value = value[0] if isinstance(value, tuple) else value
    if action.choices:
        value = "|".join(map(str, action.choices))
    names = ", ".join(action.option_strings)
    if not names:
        return value
    if action.nargs == 0:
        return names
    return f"{names} [{value}]" if action.nargs == "?" else f"{names} {value}"


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Its options and arguments, help apart."""
    return [action for action in parser._actions if action.dest != "help"]


def page(name: str, section: int, what: str, parser: argparse.ArgumentParser, more: list[str]) -> str:
    """One man page."""
    parser.prog = name.replace("splitvirt-", "splitvirt ")
    shape = " ".join(parser.format_usage().removeprefix("usage: ").split())
    lines = [f'.TH {name.upper()} {section} "" "splitvirt {VERSION}"', ".SH NAME", f"{roff(name)} \\- {roff(what)}"]
    lines += [".SH SYNOPSIS", roff(shape), ".SH DESCRIPTION", roff(parser.description or what)]
    if options := options_of(parser):
        lines.append(".SH OPTIONS")
        for action in options:
            lines += [".TP", f".B {roff(usage(action))}", roff(action.help or "")]
    return "\n".join([*lines, *more]) + "\n"


def section_of(title: str, entries: dict[str, str]) -> list[str]:
    """A section of names with explanations."""
    lines = [f".SH {title}"]
    for name, text in entries.items():
        lines += [".TP", f".B {roff(name)}", roff(text)]
    return lines


def daemon_page(name: str) -> str:
    """The page of a daemon."""
    service = import_module(f"{name}.__main__").SERVICE
    parser = daemon_parser(service)
    more = section_of("FILES", {path.format(name=name): text for path, text in SOCKETS.items()})
    from splitvirt.daemon.keys import DAEMON, FILES

    conf, keys = FILES[name]
    more += section_of(
        "CONFIGURATION",
        {
            f"/etc/libvirt/{name}.conf": ", ".join(key for key, value in DAEMON.items() if not value.inert),
            f"/etc/libvirt/{conf}": ", ".join(key for key, value in keys.items() if not value.inert),
        },
    )
    more += section_of("SIGNALS", {"SIGTERM, SIGINT": "Finish what was accepted, and leave.", "SIGHUP": "Reload."})
    more += section_of("EXIT STATUS", {"0": "Left in order.", "1": "Something failed.", "6": "Wrong configuration."})
    more += [".SH SEE ALSO", "splitvirt(1), virsh(1), virt\\-admin(1)"]
    return page(name, 8, f"serves libvirt's {service.driver} driver", parser, more)


def suite_page() -> str:
    """The page of the command with its subcommands."""
    parser = argparse.ArgumentParser(prog="splitvirt", usage="splitvirt COMMAND ...", add_help=False)
    parser.description = "The commands beside virsh."
    more = section_of("COMMANDS", {f"splitvirt {name}": text for name, text in COMMANDS.items()})
    others = ", ".join(f"splitvirt\\-{name}(1)" for name in COMMANDS)
    return page("splitvirt", 1, "libvirt's drivers, embedded and as daemons", parser, [*more, ".SH SEE ALSO", others])


def flags_of(name: str) -> list[str]:
    """The options of a subcommand, as they are typed."""
    return [word for action in parser_for(name)._actions for word in action.option_strings]


def bash() -> str:
    """Completion for bash."""
    cases = "\n".join(f'    {name}) words="{" ".join(flags_of(name))}" ;;' for name in COMMANDS)
    return f"""# Made by packaging/manual.py
_splitvirt() {{
  local words="{" ".join(COMMANDS)} --help --version"
  [ "$COMP_CWORD" -gt 1 ] && case ${{COMP_WORDS[1]}} in
{cases}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _splitvirt splitvirt
"""


def zsh() -> str:
    """Completion for zsh."""
    commands = "\n".join(f"    '{name}:{text}'" for name, text in COMMANDS.items())
    cases = "\n".join(f"  {name}) compadd -- {' '.join(flags_of(name))}; _files ;;" for name in COMMANDS)
    return f"""#compdef splitvirt
# Made by packaging/manual.py
local -a commands
if (( CURRENT == 2 )); then
  commands=(
{commands}
  )
  _describe command commands
else
  case $words[2] in
{cases}
  esac
fi
"""


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    yield TOP / "docs/man/splitvirt.1", suite_page()
    for name, what in COMMANDS.items():
        yield TOP / f"docs/man/splitvirt-{name}.1", page(f"splitvirt-{name}", 1, what, parser_for(name), [])
    for name in DAEMONS:
        yield TOP / f"docs/man/{name}.8", daemon_page(name)
    yield TOP / "packaging/completion/splitvirt.bash", bash()
    yield TOP / "packaging/completion/_splitvirt", zsh()


def stale() -> list[Path]:
    """The files that are not what the declarations say."""
    return [path for path, text in files() if not path.exists() or path.read_text() != text]


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        for path in stale():
            print(f"{path} is not current: run packaging/manual.py")
        return bool(stale())
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
