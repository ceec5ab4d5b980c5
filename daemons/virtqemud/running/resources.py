"""What of the host one start takes: taps, ports of screens, firmware variables, helper processes, a vsock's number."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_DOMAIN_START_RESET_NVRAM, VIR_FROM_QEMU
from splitvirt.api.errors import ConfigUnsupported, InternalError, OperationFailed, SystemError_
from splitvirt.host.paths import SOCKET_PATH_MAX, make_private
from splitvirt.host.pidfd import Held
from splitvirt.host.process import User
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.tpm import EmulatorBackend, Tpm
from splitvirt.xml.devices.vsock import Vsock
from splitvirt.xml.features import Features, Smm
from splitvirt.xml.os import Loader, Nvram, Os
from virtqemud import devicelist
from virtqemud.argv.parts import Helper

from . import nics
from .guest import open_log
from .screens import screens

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML
    from virtqemud.argv.context import Context
    from virtqemud.argv.machine.firmware import Firmware
    from virtqemud.domain.domain import QemuDomain

HELPER_START = 10.0
"""Seconds that a helper has until its socket is there."""

VHOST_VSOCK_SET_GUEST_CID = 0x4008AF60


class Resources:
    """Collects what a start has taken, so that it is closed when QEMU has it, or given back when it never will."""

    def __init__(self, guest: QemuDomain, live: DomainXML, context: Context, flags: int) -> None:
        self.guest, self.live, self.context, self.flags = guest, live, context, flags
        self.driver = guest.driver
        self.security = guest.driver.security
        self.helpers: list[Held] = guest.helpers
        self.helpers_before: list[Helper] = []
        self.folders: dict[str, int] = {}
        """Descriptors of folders that QEMU and the helpers inherit."""
        self.claims: list[int] = []
        """Descriptors that QEMU inherits for nothing but to have them: they keep the ports of its screens its own."""
        self._fds: list[int] = []

    def own(self, *fds: int) -> int:
        """Close these when the start is over; the first of them."""
        self._fds.extend(fds)
        return fds[0]

    def reach(self, path: str, longest: int = SOCKET_PATH_MAX) -> str:
        """A socket's path as QEMU and the helpers can use it: one of more bytes through a folder that they inherit."""
        if len(os.fsencode(path)) <= longest:
            return path
        folder, name = os.path.split(path)
        if folder not in self.folders:
            make_private(Path(folder))
            self.folders[folder] = self.own(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return f"/proc/self/fd/{self.folders[folder]}/{name}"

    def give_files(self) -> None:
        """Let what the guest has of the host be its user's, where that is not ours, and leave word of it."""
        if self.security.relabels(self.live):
            from virtqemud.security.labels import files_of

            self.security.give(self.guest, self.live, files_of(self.live), always=True)

    def give(self, file: int | str | Path) -> None:
        """Let a file or socket that was made for the guest be its user's."""
        self.security.own(self.live, file)

    def give_folder(self, folder: Path) -> None:
        """Make a folder that the guest's user can make files in."""
        self.security.open_folder(self.live, make_private(folder))

    def close(self) -> None:
        """Close our copies of the descriptors."""
        while self._fds:
            with contextlib.suppress(OSError):
                os.close(self._fds.pop())

    async def abandon(self) -> None:
        """End the helpers of a start that failed."""
        for helper in self.helpers:
            await helper.stop(1.0)
            helper.close()
        self.helpers.clear()

    async def take(self) -> None:
        """Take everything that the command line will refer to. VirtError when something cannot be had."""
        screens(self)
        sockets(self.live, self.context)
        firmware_variables(self, self.flags)
        await nics.connect(self)
        for tpm in devicelist.of(self.live, Tpm):
            if isinstance(tpm.backend, EmulatorBackend):
                await self._swtpm(tpm.backend)
        for vsock in devicelist.of(self.live, Vsock):
            self.context.vsock_fd = self.own(open_vsock(vsock))

    async def start(self, helper: Helper, *, user: User | None = None) -> None:
        """Start a process that serves the guest, and wait until its socket is there, which is the guest's user's."""
        user = self.security.user(self.live) if helper.as_guest else user
        path = Path(helper.socket) if helper.socket else None
        if path is not None:
            make_private(path.parent)
            path.unlink(missing_ok=True)
        log = self.guest.places.log
        words = log.with_name(f"{log.stem}-{helper.name}.log")
        with open_log(words) as output:
            try:
                process = await self.driver.launcher.spawn(
                    helper.argv, fds=[*helper.fds, *self.folders.values()], output=output, user=user
                )
            except OSError as error:
                raise InternalError(f"cannot run {helper.argv[0]}: {error.strerror}", domain=VIR_FROM_QEMU) from error
        self.helpers.append(process)
        self.guest.record()  # a successor ends it if we do not live to start QEMU
        try:
            await _socket_of(process, path)
        except TimeoutError:
            raise InternalError(f"{helper.name} made no socket: see {words}", domain=VIR_FROM_QEMU) from None
        except EOFError:
            said = words.read_text(errors="replace").strip().splitlines()[-3:]
            raise InternalError(f"{helper.name} ended at once: {' '.join(said)}", domain=VIR_FROM_QEMU) from None
        if path is not None and not helper.as_guest:
            self.give(path)

    async def _swtpm(self, backend: EmulatorBackend) -> None:
        """Start swtpm over the guest's own state."""
        program = shutil.which("swtpm")
        if program is None:
            raise ConfigUnsupported("swtpm is not installed (Debian: apt install swtpm)", domain=VIR_FROM_QEMU)
        version = backend.version or "2.0"
        state = self.driver.places.swtpm / str(self.guest.uuid) / ("tpm2" if version == "2.0" else "tpm1.2")
        user = self._swtpm_user()
        if not state.is_dir():
            make_private(state.parent)
            make_private(state)
            self._let_swtpm_in(state, user)
            await self._manufacture(state, version, user)
        elif user is not None:
            self._let_swtpm_in(state, user)
        path = self.guest.places.swtpm_socket
        if self.security.user(self.live) is not None:
            from virtqemud.security.dac import hand_folder

            hand_folder(make_private(path.parent), user.gid if user else os.getegid(), 0o1771)
        short = self.reach(str(path))
        argv = [
            program,
            "socket",
            "--ctrl",
            f"type=unixio,path={short},mode=0600",
            "--tpmstate",
            f"dir={state},mode=0600",
        ]
        argv += ["--terminate"] + (["--tpm2"] if version == "2.0" else [])
        await self.start(Helper("swtpm", argv, socket=str(path)), user=user)
        self.context.tpm_socket = short
        if not backend.persistent_state and not self.guest.persistent:
            self.guest.undo.append(lambda: shutil.rmtree(state.parent, ignore_errors=True))

    def _swtpm_user(self) -> User | None:
        """As whom swtpm runs: its own user, where the guest has one that is not ours."""
        who = self.security.swtpm
        return None if who is None or self.security.user(self.live) is None else User(*who)

    def _let_swtpm_in(self, state: Path, user: User | None) -> None:
        """Let swtpm's user have the guest's state, and get through the folders above, which stay ours."""
        if user is None:
            return
        from virtqemud.security.dac import let_pass, own_tree

        for folder in (self.driver.places.swtpm, state.parent):
            let_pass(folder)
        own_tree(state, user.uid, user.gid)

    async def _manufacture(self, state: Path, version: str, user: User | None) -> None:
        """Give a new TPM its certificates, where the tool for it is installed; a TPM without any works as well."""
        from splitvirt.host.process import run

        setup = shutil.which("swtpm_setup")
        if setup is None:
            return
        argv = [setup, "--tpm-state", str(state), "--createek", "--overwrite"] + (
            ["--tpm2"] if version == "2.0" else []
        )
        done = await run(argv, timeout=60, user=user)
        if done.returncode:
            shutil.rmtree(state, ignore_errors=True)
            words = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise InternalError(f"Could not run '{setup}': {' '.join(words)}", domain=VIR_FROM_QEMU)


async def _socket_of(process: Held, path: Path | None) -> None:
    """Wait for a helper's socket: TimeoutError, or EOFError when the helper ends instead."""
    if path is None:
        return
    async with asyncio.timeout(HELPER_START):
        while not os.access(path, os.F_OK):
            if await process.wait(0.005):
                raise EOFError


_TEMPLATE_MAX = 128 << 20
"""Bytes; the largest known, ARM's, have 64 MiB. What is no plain file may have no end."""


def firmware_variables(res: Resources, flags: int) -> None:
    """Have the file of firmware variables there, and be the guest's user's for good.

    What firmware was chosen is noted in the running configuration.
    """
    from virtqemud.argv.machine.firmware import firmware

    found = firmware(res.context)
    if found is None:
        return
    if res.live.os and res.live.os.firmware:
        _note_firmware(res.live, res.live.os, found)
    if not isinstance(found.nvram, str) or not found.nvram:
        return
    _write_variables(found, Path(found.nvram), flags)
    if res.security.relabels(res.live):
        from virtqemud.security.labels import File

        res.security.give(res.guest, res.live, [File(found.nvram, back=False)])


def _note_firmware(live: DomainXML, system: Os, found: Firmware) -> None:
    """Say of what runs which firmware it has, as if it had been named: so libvirt does, whose choice this is once made.

    Images that are not raw cannot be named so, and go on being chosen.
    """
    if isinstance(found.nvram, str):
        system.nvram = Nvram(path=found.nvram)
    if (found.format, found.nvram_format) != ("raw", "raw"):
        return
    system.firmware, system.features = None, []
    loader = system.loader = system.loader or Loader()
    loader.path, loader.type, loader.secure = found.code, "rom" if found.rom else "pflash", found.secure
    loader.readonly = None if found.rom else found.read_only
    if found.rom:
        loader.secure = None
    if system.nvram is not None and system.nvram.path:
        system.nvram.template = found.template or None
    if found.smm:
        features = live.features = live.features or Features()
        features.smm = features.smm or Smm(state=True)


def _write_variables(found: Firmware, target: Path, flags: int) -> None:
    """Make the file of firmware variables from its template, where there is none yet or a reset is asked for."""
    if target.exists() and not flags & VIR_DOMAIN_START_RESET_NVRAM:
        return
    if not found.template:
        raise OperationFailed(f"unable to find any master var store for loader: {found.code}", domain=VIR_FROM_QEMU)
    from splitvirt.store.files import write_durable

    template = Path(found.template)
    if template.exists() and not (template.is_file() and template.stat().st_size <= _TEMPLATE_MAX):
        raise OperationFailed(f"{template} is not a file of firmware variables", domain=VIR_FROM_QEMU)
    try:
        make_private(target.parent)
        write_durable(target, template.read_bytes())
    except OSError as error:
        raise SystemError_(
            f"Failed to copy {found.template} to {target}: {error.strerror}", domain=VIR_FROM_QEMU
        ) from error


def sockets(live: DomainXML, context: Context) -> None:
    """Note where sockets are that have no path of their own: in the folders of this run."""
    for channel in devicelist.of(live, Channel):
        if channel.type == "unix" and channel.target_name and not channel.source.path:
            channel.source.mode, channel.source.path = "bind", f"{context.channel_folder}/{channel.target_name}"
    for screen in devicelist.of(live, Graphics):
        for place in screen.listens:
            if place.type == "socket" and not place.socket and not screen.socket:
                place.socket = f"{context.folder}/{screen.type}.sock"


def open_vsock(vsock: Vsock) -> int:
    """The kernel's end of a vsock device, with the number that it was given or the first that is free."""
    try:
        fd = os.open("/dev/vhost-vsock", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise SystemError_(f"unable to open vhost-vsock device: {error.strerror}", domain=VIR_FROM_QEMU) from error
    wanted = range(3, 0xFFFFFFFF) if vsock.cid_auto and not vsock.cid else (vsock.cid or 3,)
    for cid in wanted:
        try:
            fcntl.ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, struct.pack("=Q", cid))
        except OSError as error:
            if error.errno == 98 and len(wanted) > 1:
                continue
            os.close(fd)
            raise SystemError_(f"failed to set guest cid: {error.strerror}", domain=VIR_FROM_QEMU) from error
        vsock.cid = cid
        return fd
    os.close(fd)
    raise InternalError("failed to find a free vsock address", domain=VIR_FROM_QEMU)
