"""The security model "dac" of one driver: as whom each guest runs, and which files are its own meanwhile."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitvirt.api.constants import VIR_FROM_QEMU, VIR_FROM_STORAGE
from splitvirt.api.errors import ConfigUnsupported, SystemError_, VirtError
from splitvirt.host.process import User
from splitvirt.host.users import known_group, known_user

from . import process
from .locked import locked_memory
from .process import Identity

if TYPE_CHECKING:
    from splitvirt.host.paths import Layout
    from splitvirt.xml.domain import Domain as DomainXML
    from splitvirt.xml.element import Element
    from splitvirt.xml.seclabel import SecurityLabel
    from virtqemud.domain.base import DomainBase

    from .dac import Given, Ownership
    from .labels import File

log = logging.getLogger(__name__)


class Security:
    """As whom guests run. `usual` is who runs a guest that says nothing; None: the user of this process."""

    def __init__(
        self,
        usual: Identity | None = None,
        *,
        dynamic: bool = True,
        remember: bool = True,
        bare: bool = True,
        swtpm: Identity | None = None,
    ) -> None:
        self.usual = usual
        self.dynamic = dynamic
        self.remember = remember
        self.bare = bare
        """Whether a QEMU that runs as root is without root's powers ("clear_emulator_capabilities")."""
        self.swtpm = swtpm
        """Who runs swtpm, where QEMU has a user of its own."""
        self._ownership: Ownership | None = None

    @classmethod
    def configured(cls, layout: Layout, config: Mapping[str, Any]) -> Security:
        """What qemu.conf says, for the host's own daemon; anybody else's guests run as who starts them.

        Below a root of its own (`--root`) a daemon has another user for QEMU only where its qemu.conf names one.
        Raises InvalidArg for a user or group that the host does not know.
        """
        if layout.mode != "system" or os.geteuid() != 0:
            return cls()
        if layout.root is not None and not (config.get("user") or config.get("group")):
            return cls()
        usual = process.configured(config)
        if usual is None:
            log.warning(
                "there is no user %s, and qemu.conf names no other: QEMU runs as root (packaging/install.sh makes it)",
                process.USUAL,
            )
            usual = Identity(0, 0, (0,))
        return cls(
            usual,
            dynamic=bool(config.get("dynamic_ownership", True)),
            remember=bool(config.get("remember_owner", True)),
            bare=bool(config.get("clear_emulator_capabilities", True)),
            swtpm=_swtpm(config),
        )

    @property
    def ownership(self) -> Ownership:
        """Who has which file."""
        if self._ownership is None:
            from .dac import Ownership

            self._ownership = Ownership(remember=self.remember)
        return self._ownership

    # ---- as whom

    def assign(self, live: DomainXML) -> None:
        """Complete the labels of a configuration that is to be started.

        Raises ConfigUnsupported for a model that is not there, InvalidArg for a label that names nobody.
        """
        for label in live.seclabels:
            if label.model not in (None, "none", "dac"):
                raise ConfigUnsupported(f"Security driver model '{label.model}' is not available", domain=VIR_FROM_QEMU)
        own = label_of(live)
        if own is not None and own.type == "static":
            uid, gid = process.of_label(own.label or "")
            if os.geteuid() != 0 and (uid, gid) != (os.geteuid(), os.getegid()):
                raise ConfigUnsupported("Security driver model 'dac' is not available", domain=VIR_FROM_QEMU)
            own.generated, own.imagelabel = True, own.label if own.relabel else None
        if self.usual is None:
            if own is not None and own.type == "dynamic":
                own.label = own.imagelabel = None
            return
        if own is None:
            from splitvirt.xml.seclabel import SecurityLabel

            own = SecurityLabel(type="dynamic", model="dac", relabel=True)
            own.implicit = True
            live.seclabels.append(own)
        if own.type == "dynamic":
            own.generated = True
            own.label = own.imagelabel = self.usual.label

    def take_over(self, live: DomainXML) -> None:
        """Take in as whom a guest of an earlier daemon runs, by its record."""
        own = label_of(live)
        if own is not None:
            own.generated = own.type != "none"
            own.implicit = own.type == "dynamic"

    def identity(self, live: DomainXML) -> Identity | None:
        """As whom a started guest runs; None: as this process."""
        own = label_of(live)
        if own is not None and own.type == "static" and os.geteuid() == 0:
            return process.identity(*process.of_label(own.label or ""))
        if self.usual is not None and own is not None and own.type == "dynamic" and own.label:
            # As it was labelled: qemu.conf may say otherwise by now.
            uid, gid = process.of_label(own.label)
            return self.usual if (uid, gid) == self.usual[:2] else process.identity(uid, gid)
        return self.usual

    @property
    def usual_user(self) -> User | None:
        """As whom the launcher is to start what serves no guest yet; None: as this process."""
        return None if self.usual is None else User(*self.usual, bare=self.bare)

    def user(self, live: DomainXML) -> User | None:
        """As whom the launcher is to start a guest; None: as this process."""
        who = self.identity(live)
        if who is None or os.geteuid() != 0:
            return None
        return User(*who, bare=self.bare, locked=locked_memory(live))

    def relabels(self, live: DomainXML) -> bool:
        """Whether the guest's files are given to its user."""
        own = label_of(live)
        return self.dynamic and own is not None and bool(own.relabel) and self.identity(live) is not None

    # ---- which files

    def give(self, guest: DomainBase, live: DomainXML, files: Iterable[File], *, always: bool = False) -> None:
        """Give files to a guest's user. What is to come back is noted in the guest, and in its record, before.

        Its record is written where something is noted; `always` also where nothing is.
        Raises VirtError with the path of a file that is not there or cannot be given; then all are as they were.
        """
        who = self.identity(live)
        if who is None or not self.relabels(live):
            return
        mine = {given.path for given in guest.given}
        prepared: list[tuple[int, Given, File]] = []
        try:
            for file in files:
                if file.path not in mine and (ready := self._prepare(file, who)) is not None:
                    prepared.append((*ready, file))
            before = len(guest.given)
            guest.given += [given for _, given, file in prepared if file.back]
            if always or len(guest.given) > before:
                guest.record()
            self._give(guest, prepared)
        finally:
            for fd, *_ in prepared:
                os.close(fd)

    def _give(self, guest: DomainBase, prepared: list[tuple[int, Given, File]]) -> None:
        done: list[Given] = []
        try:
            for fd, given, file in prepared:
                if file.back:
                    self.ownership.give(fd, given)
                    done.append(given)
                else:
                    self.ownership.lend(fd, given)
        except BaseException:
            undone = [given for _, given, file in prepared if file.back and given not in done]
            guest.given = [given for given in guest.given if given not in undone]
            self._take_back(guest, done)
            raise

    def _prepare(self, file: File, who: Identity) -> tuple[int, Given] | None:
        from .reach import Astray

        try:
            to = process.of_label(file.label) if file.label else (who.uid, who.gid)
            return self.ownership.prepare(file.path, to, make=file.make)
        except Astray as error:
            log.warning("%s keeps its owner: %s", file.path, error)
        except PermissionError as error:  # a network file system that knows no root: its users may open it all the same
            log.info("%s keeps its owner: %s", file.path, error.strerror)
        except OSError as error:
            if not file.may_lack:
                raise _missing(file, error) from error
        return None

    def give_back(self, guest: DomainBase, paths: Iterable[str] | None = None) -> None:
        """Take back a guest's files, or those of some paths, for who had them before."""
        wanted = None if paths is None else set(paths)
        self._take_back(guest, [given for given in guest.given if wanted is None or given.path in wanted])

    @contextlib.contextmanager
    def giving(self, guest: DomainBase, live: DomainXML, devices: Iterable[Element]) -> Iterator[None]:
        """Give a running guest's user the files of devices that are to come; back again if an error comes instead."""
        if not self.relabels(live):
            yield
            return
        from .labels import of_device, unique

        before = {given.path for given in guest.given}
        devices = list(devices)
        self._let_lock(guest, live, devices)
        self.give(guest, live, unique(file for device in devices for file in of_device(device)))
        try:
            yield
        except BaseException:
            self.give_back(guest, {given.path for given in guest.given} - before)
            guest.record()
            raise

    def _let_lock(self, guest: DomainBase, live: DomainXML, devices: list[Element]) -> None:
        """Let a running QEMU lock the memory that devices which are to come ask for."""
        size = locked_memory(live, devices)
        if guest.process is not None and size != locked_memory(live):
            import resource

            with contextlib.suppress(OSError):
                resource.prlimit(guest.process.pid, resource.RLIMIT_MEMLOCK, (size, size))

    def gone(self, guest: DomainBase, live: DomainXML, device: Element) -> None:
        """Take back the files of a device that a running guest has no more, but for those that others of its have."""
        if guest.given:
            from virtqemud import devicelist

            from .labels import present

            used = {path for each in devicelist.every(live) if each is not device for path in present(each)}
            self.give_back(guest, set(present(device)) - used)

    def _take_back(self, guest: DomainBase, given: list[Given]) -> None:
        for each in reversed(given):
            try:
                self.ownership.take_back(each)
            except VirtError as error:
                log.error("%r: %s", guest, error)
        guest.given = [each for each in guest.given if each not in given]

    # ---- what we make for a guest

    def open_folder(self, live: DomainXML, folder: Path) -> None:
        """Let a guest's user make entries in a folder of ours."""
        who = self.identity(live)
        if who is not None and os.geteuid() == 0:
            from .dac import hand_folder

            hand_folder(folder, who.gid)

    def own(self, live: DomainXML, path: int | str | Path) -> None:
        """Give a file that we made for a guest to its user, for good."""
        who = self.identity(live)
        if who is not None and os.geteuid() == 0:
            from .dac import own

            own(path, *who[:2])


def label_of(live: DomainXML) -> SecurityLabel | None:
    """The configuration's label of the model "dac"."""
    return next((label for label in live.seclabels if label.model == "dac"), None)


def _swtpm(config: Mapping[str, Any]) -> Identity | None:
    """Who runs swtpm: as configured, else its usual user; where there is none, root."""
    user, group = str(config.get("swtpm_user") or "tss"), str(config.get("swtpm_group") or "tss")
    uid, gid = known_user(user), known_group(group)
    return None if uid is None or gid is None else process.identity(uid, gid)


def _missing(file: File, error: OSError) -> SystemError_:
    if file.image:
        words = f"Cannot access storage file '{file.path}': {error.strerror}"
        return SystemError_(words, domain=VIR_FROM_STORAGE)
    return SystemError_(f"unable to stat: {file.path}: {error.strerror}", domain=VIR_FROM_QEMU)
