#!/usr/bin/env python3
"""Writes man pages (docs/man) and shell completion (packaging/completion) from the command lines' own declarations.

`packaging/manual.py` writes them into the tree, where they are kept; `--check` says whether they are current.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from splitvirt.api.call import calls
from splitvirt.cli.__main__ import COMMANDS, examples_of, exits_of, parser_for
from splitvirt.connect import contract_of
from splitvirt.daemon.config import Keys
from splitvirt.daemon.keys import DAEMON, FILES
from splitvirt.daemon.main import EXITS, VERSION
from splitvirt.daemon.main import parser as daemon_parser

TOP = Path(__file__).parents[1]
DAEMONS = ("virtqemud", "virtnetworkd")
SOCKETS = {
    "/run/libvirt/{name}-sock": "calls (SocketMode= and polkit decide who may)",
    "/run/libvirt/{name}-sock-ro": "read-only calls",
    "/run/libvirt/{name}-admin-sock": "virt-admin, for root",
    "/run/libvirt/{name}-metrics-sock": "OpenMetrics over HTTP, while the daemon runs",
    "$XDG_RUNTIME_DIR/libvirt/{name}-sock, ...": "the same of a user's own daemon",
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
    more += section_of(
        "D-BUS", {f"org.splitvirt.{name}": f"the same calls at {service.bus_path}, and org.splitvirt.Daemon1"}
    )
    conf, keys = FILES[name]
    more += [".SH CONFIGURATION", roff(CONFIGURATION)]
    for path, own in ((f"{name}.conf", DAEMON), (conf, keys)):
        more += [f".SS /etc/libvirt/{roff(path)}", *keys_of(own)]
    more += section_of("SIGNALS", {"SIGTERM, SIGINT": "Finish what was accepted, and leave.", "SIGHUP": RELOAD})
    more += statuses(EXITS)
    more += [".SH SEE ALSO", "splitvirt(1), splitvirt\\-doctor(1), virsh(1), virt\\-admin(1), journalctl(1)"]
    return page(name, 8, f"serves libvirt's {service.driver} driver", parser, more)


CONFIGURATION = (
    "KEY = VALUE, with # comments; what is shown is the default. Keys marked * are taken in at a reload. "
    "libvirt's other keys are read and do nothing; unknown ones are warned of."
)
RELOAD = "Read the configuration again: take in the keys marked *, and say which others have changed."


def keys_of(keys: Keys) -> list[str]:
    """The keys that do something, each with its default."""
    lines = []
    for name, key in keys.items():
        if not key.inert:
            default = f'"{key.default}"' if isinstance(key.default, str) else str(key.default)
            shown = str(int(key.default)) if isinstance(key.default, bool) else default
            lines += [f"{roff(name)} = {roff(shown)}{' *' if key.reload else ''}", ".br"]
    return lines[:-1]


def statuses(found: dict[int, str]) -> list[str]:
    """The section of exit statuses."""
    return section_of("EXIT STATUS", {str(status): text for status, text in found.items()})


def command_page(name: str, what: str) -> str:
    """The page of a subcommand."""
    more = statuses(exits_of(name))
    if examples := examples_of(name):
        more += [".SH EXAMPLES", ".nf", *map(roff, examples), ".fi"]
    return page(f"splitvirt-{name}", 1, what, parser_for(name), [*more, ".SH SEE ALSO", "splitvirt(1)"])


def suite_page() -> str:
    """The page of the command with its subcommands."""
    parser = argparse.ArgumentParser(prog="splitvirt", usage="splitvirt COMMAND ...", add_help=False)
    parser.description = "The commands beside virsh."
    parser.add_argument("--version", action="store_true", help="show the version")
    more = section_of("COMMANDS", {f"splitvirt {name}": text for name, text in COMMANDS.items()})
    others = ", ".join([*(f"splitvirt\\-{name}(1)" for name in COMMANDS), *(f"{name}(8)" for name in DAEMONS)])
    return page("splitvirt", 1, "libvirt's drivers, embedded and as daemons", parser, [*more, ".SH SEE ALSO", others])


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command line by what it starts with."""
    found = {f"splitvirt {name}": parser_for(name) for name in COMMANDS}
    return found | {name: daemon_parser(import_module(f"{name}.__main__").SERVICE) for name in DAEMONS}


PLAIN = ("FILE", "PATH")
WORDS = {"BUS": ("system", "session", "none"), "URI": ("qemu:///system", "qemu:///session", "network:///system")}
"""What is completed where an option's value is called so: folders, files, or words."""


def words_of(action: argparse.Action) -> tuple[str, ...]:
    """The words that an argument may be, as far as they are known."""
    if action.choices:
        return tuple(map(str, action.choices))
    if action.metavar == "WORD":
        roots = (one for driver in ("qemu", "network") for one in calls(contract_of(driver)))
        return ("domain:", "network:", *sorted({one.name for one in roots if one.rpc and not one.on_object}))
    return WORDS.get(str(action.metavar), ())


def bash() -> str:
    """Completion for bash."""
    values, starts = [], []
    for name, parser in parsers().items():
        flags = " ".join(word for action in parser._actions for word in action.option_strings)
        starts.append(f'    "{name}:-"*) how=(-W "{flags}") ;;')
        for action in parser._actions:
            known, where = words_of(action), str(action.metavar)
            how = f'-W "{" ".join(known)}"' if known else {"DIR": "-d"}.get(where, "-f" if where in PLAIN else "")
            if how and action.option_strings:
                values += [f'    "{name}:{option}") how=({how}) ;;' for option in action.option_strings]
            elif how:
                starts.append(f'    "{name}:"*) how=({how}) ;;')
    lines = "\n".join
    return f"""# Made by packaging/manual.py
_splitvirt() {{
  local name=${{COMP_WORDS[0]##*/}} how=() current=${{COMP_WORDS[COMP_CWORD]}}
  if [ "$name" = splitvirt ]; then name="splitvirt ${{COMP_WORDS[1]}}"; fi
  case $name:${{COMP_WORDS[COMP_CWORD-1]}} in
    "splitvirt "*:splitvirt|"splitvirt "*:*/splitvirt) how=(-W "{" ".join(COMMANDS)} --help --version") ;;
{lines(values)}
  esac
  [ ${{#how[@]}} -gt 0 ] || case $name:$current in
{lines(starts)}
  esac
  case ${{how[0]}} in -d|-f) compopt -o filenames 2>/dev/null || true ;; esac
  mapfile -t COMPREPLY < <([ ${{#how[@]}} -eq 0 ] || compgen "${{how[@]}}" -- "$current")
}}
complete -F _splitvirt splitvirt {" ".join(DAEMONS)}
"""


def zsh() -> str:
    """Completion for zsh."""
    commands = "\n".join(f"      '{name}:{text}'" for name, text in COMMANDS.items())
    made = {name: _arguments(parser) for name, parser in parsers().items()}
    cases = "\n".join(f"    {name}) _arguments {made[f'splitvirt {name}']} ;;" for name in COMMANDS)
    daemons = "\n".join(f"{name}) _arguments {made[name]} ;;" for name in DAEMONS)
    return f"""#compdef splitvirt {" ".join(DAEMONS)}
# Made by packaging/manual.py
case $service in
{daemons}
splitvirt)
  if (( CURRENT == 2 )); then
    local -a commands=(
{commands}
    )
    _describe command commands
  else
    shift words
    (( CURRENT-- ))
    case $words[1] in
{cases}
    esac
  fi ;;
esac
"""


def _arguments(parser: argparse.ArgumentParser) -> str:
    """The words of zsh's _arguments for a command line."""
    found = []
    for action in parser._actions:
        where = str(action.metavar or action.dest)
        known = words_of(action)
        how = (
            f"({' '.join(known)})" if known else {"DIR": "_directories"}.get(where, "_files" if where in PLAIN else " ")
        )
        how = how.replace(":", "\\:")
        about = (action.help or "").replace("[", "(").replace("]", ")").replace(":", "\\:").replace("'", "'\\''")
        value = "" if action.nargs == 0 else f":{where}:{how}"
        value = f":{value}" if value and action.nargs == "?" else value
        found += [f"'{option}[{about}]{value}'" for option in action.option_strings]
        if not action.option_strings:
            found.append(f"'{'*' if action.nargs == '*' else ''}:{where}:{how}'")
    return " ".join(found)


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    yield TOP / "docs/man/splitvirt.1", suite_page()
    for name, what in COMMANDS.items():
        yield TOP / f"docs/man/splitvirt-{name}.1", command_page(name, what)
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
