"""A command line ready to be run: built, with the files and processes that it refers to brought about."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import SystemError_
from splitvirt.host import unix
from splitvirt.host.pidfd import Held

if TYPE_CHECKING:
    from virtqemud.argv.command import Command
    from virtqemud.argv.parts import Parts

    from .resources import Resources


@dataclass
class Order:
    """What to run, and the helpers that run for it already."""

    argv: list[str]
    env: Mapping[str, str]
    fds: list[int]
    helpers: list[Held]


@contextlib.asynccontextmanager
async def filled(res: Resources) -> AsyncIterator[Order]:
    """Build the command line and bring about what it needs.

    Descriptors are closed when the context ends; if it ends by an error, the helpers are ended too.
    """
    from virtqemud.argv.command import build
    from virtqemud.argv.devices.channel import settle
    from virtqemud.security.sockets import serve

    context, places = res.context, res.guest.places
    try:
        with listening(places.monitor) as monitor:
            res.give_files()
            context.monitor_fd = monitor.fileno()
            context.master_key = secrets.token_bytes(32)
            await res.take()
            for helper in res.helpers_before:
                await res.start(helper)
            prepare_files(settle(context), res)
            command = build(context.domain, context)
            prepare_files(command.needs, res)
            if res.security.user(res.live) is not None:
                serve(command, res)
            shorten(command, res)
            for helper in command.needs.helpers:
                await res.start(helper)
            fds = sorted({context.monitor_fd, *command.fds, *res.folders.values(), *res.claims})
            yield Order(command.argv, command.env, fds, res.helpers)
    except BaseException:
        await res.abandon()
        raise
    finally:
        res.close()


def shorten(command: Command, res: Resources) -> None:
    """Have sockets whose paths are too long reached through folders that QEMU and the helpers inherit."""
    needs = command.needs
    for path in {*needs.sockets, *(helper.socket for helper in needs.helpers)} - {""}:
        short = res.reach(path)
        if short != path:
            command.argv = [word.replace(path, short) for word in command.argv]
            for helper in needs.helpers:
                helper.argv = [word.replace(path, short) for word in helper.argv]


def listening(path: Path) -> socket.socket:
    """The monitor's socket. SystemError_ with the path."""
    try:
        return unix.listen(path)
    except OSError as error:
        raise SystemError_(f"Unable to listen at {path}: {error.strerror}", domain=VIR_FROM_QEMU) from error


def prepare_files(needs: Parts, res: Resources) -> None:
    """Make the folders and files that were asked for, the guest's own; clear away sockets of an earlier run."""
    try:
        for folder in needs.folders:
            res.give_folder(Path(folder))
        for path, content in needs.files.items():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                res.give(fd)
                file.write(content)
        for path in needs.sockets:
            if not Path(path).parent.is_dir():
                res.give_folder(Path(path).parent)
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise SystemError_(f"cannot make {error.filename}: {error.strerror}", domain=VIR_FROM_QEMU) from error
