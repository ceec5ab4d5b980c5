"""What every daemon's `main` does: arguments, configuration, log, then `Daemon.run` to the end."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from splitvirt.api.errors import InvalidArg, VirtError
from splitvirt.daemon.config import Config
from splitvirt.daemon.keys import DAEMON, FILES
from splitvirt.host.paths import Layout, check_own
from splitvirt.host.value import value

if TYPE_CHECKING:
    from splitvirt.api.event import Hub

VERSION = "0.1.0"


class Driver(Protocol):
    """What a daemon needs of its driver, beside the calls of its contract."""

    events: Hub

    @property
    def busy(self) -> bool:
        """Whether something runs or is held that forbids an idle exit."""
        ...

    def reload(self) -> None:
        """Read again what may change at run time."""
        ...

    async def close(self) -> None:
        """Let go of everything; what runs goes on running."""
        ...


Open = Callable[[Layout, Config, str], Awaitable[Driver]]


@value
class Service:
    """What one daemon adds to what they have in common.

    `open` makes its driver, given the bus on which its neighbours are. `bus_path` is where its objects hang on D-Bus,
    `uri_scheme` how its URIs start, `driver` what access rules call it (libvirt's connect_driver), `siblings` the
    daemons whose calls its socket passes on.
    """

    name: str
    contract: type
    open: Open
    bus_path: str
    uri_scheme: str
    driver: str
    siblings: tuple[str, ...] = ()


@value
class Options:
    """The command line."""

    root: Path | None
    config: Path | None
    timeout: int
    listen: str | None
    bus: str
    verbose: bool
    check_config: bool


EXITS = {
    0: "it left in order",
    1: "something failed, and is said",
    2: "the command line is wrong",
    6: "the configuration is wrong",
}

SWITCHES = {
    "--verbose": "log debug messages to standard error as well",
    "--check-config": "say what is wrong with the configuration, and end",
}
TAKING: dict[str, tuple[str, Any, str]] = {
    "--root": ("DIR", None, "keep everything (etc, run, lib, log, cache) below this directory"),
    "--config": ("FILE", None, "read this in place of {name}.conf"),
    "--timeout": ("SECONDS", 0, "leave after so long without clients or work"),
    "--listen": ("PATH", None, "where to make the read-write socket (not with systemd's sockets)"),
    "--bus": (
        "BUS", "", "offer the objects on D-Bus: system, session, none or an address (default: the bus of the mode, "
        "where there is one; none with --root)",
    ),
}  # fmt: skip
"""Options with a value: how the value is called and read (READERS), the default, and what it is for."""


def parser(service: Service) -> argparse.ArgumentParser:
    """The command line of every daemon; man pages and completion are made from it as well."""
    made = argparse.ArgumentParser(
        prog=service.name,
        description=f"Serves libvirt's {service.driver} driver over libvirt's RPC and D-Bus.",
        epilog=f"Signals: SIGTERM finishes what was accepted and ends; SIGHUP reads {service.name}.conf again.",
    )
    for option, (metavar, default, text) in TAKING.items():
        read, text = READERS.get(metavar, str), text.format(name=service.name)
        made.add_argument(option, type=read, metavar=metavar, default=default, help=text)
    for option, text in SWITCHES.items():
        made.add_argument(option, action="store_true", help=text)
    made.add_argument("--version", action="version", version=f"{service.name} (splitvirt) {VERSION}")
    return made


def options_of(service: Service, words: Sequence[str]) -> Options:
    """Read the command line. argparse (5 ms) is loaded for what is not as plain as a unit's: it knows what is wrong."""
    found = {_field(option): default for option, (_, default, _) in TAKING.items()} | dict.fromkeys(
        map(_field, SWITCHES), False
    )
    rest = iter(words)
    for word in rest:
        given = next(rest, "-") if word in TAKING else ""
        if word in SWITCHES:
            found[_field(word)] = True
        elif word not in TAKING or given.startswith("-") or (word == "--timeout" and not given.isdigit()):
            return Options(**vars(parser(service).parse_args(words)))
        else:
            found[_field(word)] = READERS.get(TAKING[word][0], str)(given)
    return Options(**found)


def _field(option: str) -> str:
    return option[2:].replace("-", "_")


def _seconds(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return int(text)


READERS: dict[str, Callable[[str], Any]] = {"DIR": Path, "FILE": Path, "SECONDS": _seconds}


def main(service: Service, argv: Sequence[str] | None = None) -> int:
    """Run a daemon to its end; the exit status: 0, 1 for what went wrong, 2 for the command line, 6 for the config."""
    options = options_of(service, sys.argv[1:] if argv is None else argv)
    layout = (
        Layout.under(options.root, "system" if os.geteuid() == 0 else "session") if options.root else Layout.for_user()
    )
    config = load(service, layout, options)
    if options.check_config:
        for line in config.errors + config.warnings:
            print(line)
        return 6 if config.errors else 0
    if config.errors:
        for line in config.errors:
            print(f"{service.name}: {line}", file=sys.stderr)
        asyncio.run(_refuse(service))
        return 6
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the daemon catches it: asyncio's own handler is not wanted
    try:
        if options.root is not None and options.root.exists():
            check_own(options.root)
        return asyncio.run(_run(service, options, layout, config))
    except VirtError as e:
        print(f"{service.name}: {e}", file=sys.stderr)
    except OSError as e:
        from splitvirt.host.refusal import told

        print(f"{service.name}: {told(e)}", file=sys.stderr)
    return 1


async def _refuse(service: Service) -> None:
    from splitvirt.daemon.notify import passed_fds
    from splitvirt.daemon.refuse import refuse
    from splitvirt.daemon.sockets import adopt

    await refuse(adopt(passed_fds(), service.name)[0], service.name, "its configuration is wrong")


async def _run(service: Service, options: Options, layout: Layout, config: Config) -> int:
    from splitvirt.daemon.life import Daemon

    return await Daemon(service, options, layout, config).run()


def load(service: Service, layout: Layout, options: Options) -> Config:
    """The daemon's own file, then its driver's."""
    from splitvirt.daemon.log import read_filters, read_outputs

    own = options.config or layout.etc / f"{service.name}.conf"
    name, keys = FILES[service.name]
    config = Config.load({**keys, **DAEMON}, [(own, DAEMON), (layout.etc / name, keys)])
    if options.config and not options.config.exists():
        config.errors.append(f"{options.config}: no such file")
    for key, read in (("log_filters", read_filters), ("log_outputs", read_outputs)):
        try:
            read(config.text(key))
        except InvalidArg as e:
            setting = config.given[key]
            config.errors.append(f"{setting.file}:{setting.line}: {key}: {e}")
    return config
