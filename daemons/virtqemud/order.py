"""What a start needs on the host, brought about from what the devices asked for: folders, files, sockets, helpers."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InternalError, SystemError_, VirtError
from splitvirt.host import unix
from splitvirt.host.paths import make_private
from splitvirt.host.pidfd import Held
from splitvirt.host.process import Launcher

from .context import Context
from .guest import open_log
from .parts import Helper, Parts
from .places import GuestPlaces

log = logging.getLogger(__name__)

HELPER_START = 10.0
"""Seconds that a helper has until its socket is there."""


@dataclass
class Order:
    """A command line ready to be run, with everything that it refers to."""

    argv: list[str]
    env: Mapping[str, str]
    fds: list[int]
    helpers: list[Held]


@contextlib.asynccontextmanager
async def filled(context: Context, places: GuestPlaces, launcher: Launcher) -> AsyncIterator[Order]:
    """Build the command line and bring about what it needs.

    Descriptors are closed when the context ends; if it ends by an error, the helpers are ended too.
    """
    from .command import build

    helpers: list[Held] = []
    with contextlib.ExitStack() as opened:
        context.monitor_fd = opened.enter_context(listening(places.monitor)).fileno()
        context.master_key = secrets.token_bytes(32)
        command = build(context.domain, context)
        fds = {context.monitor_fd, *command.fds}
        for fd in fds - {context.monitor_fd}:
            opened.callback(_close, fd)
        try:
            prepare_files(command.needs)
            for helper in command.needs.helpers:
                helpers.append(await start_helper(helper, launcher, places))
            yield Order(command.argv, command.env, sorted(fds), helpers)
        except BaseException:
            for running in helpers:
                await running.stop(1.0)
                running.close()
            raise


def listening(path: Path) -> socket.socket:
    """The monitor's socket. SystemError_ with the path."""
    try:
        return unix.listen(path)
    except OSError as error:
        raise SystemError_(f"Unable to listen at {path}: {error.strerror}", domain=VIR_FROM_QEMU) from error


def prepare_files(needs: Parts) -> None:
    """Make the folders and files that were asked for, and clear away sockets of an earlier run."""
    try:
        for folder in needs.folders:
            make_private(Path(folder))
        for path, content in needs.files.items():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
        for path in needs.sockets:
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise SystemError_(f"cannot make {error.filename}: {error.strerror}", domain=VIR_FROM_QEMU) from error


async def start_helper(helper: Helper, launcher: Launcher, places: GuestPlaces) -> Held:
    """Start a process that serves the guest, and wait until its socket is there."""
    path = Path(helper.socket) if helper.socket else None
    if path is not None:
        make_private(path.parent)
        path.unlink(missing_ok=True)
    words = places.log.with_name(f"{places.log.stem}-{helper.name}.log")
    with open_log(words) as output:
        try:
            process = await launcher.spawn(helper.argv, fds=helper.fds, output=output)
        except OSError as error:
            raise InternalError(f"cannot run {helper.argv[0]}: {error.strerror}", domain=VIR_FROM_QEMU) from error
    try:
        if path is not None:
            async with asyncio.timeout(HELPER_START):
                while not path.exists():
                    if await process.wait(0.005):
                        raise InternalError(f"{helper.name} ended at once: see {words}", domain=VIR_FROM_QEMU)
    except (TimeoutError, VirtError) as error:
        await process.stop(1.0)
        process.close()
        if isinstance(error, VirtError):
            raise
        raise InternalError(f"{helper.name} made no socket: see {words}", domain=VIR_FROM_QEMU) from None
    return process


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)
