"""A hypervisor inside an application: no daemon, no global state, everything below one folder.

    async with splitvirt.embed("/path/root") as hv:
        vm = await hv.create(xml)

Any number of instances, in one event loop or in several threads' loops; each belongs to the loop that opened it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from splitvirt.api.errors import ConfigUnsupported, SystemError_
from splitvirt.host.paths import Layout

if TYPE_CHECKING:
    from splitvirt.api.network import Networks
    from splitvirt.host.process import Lifetime
    from virtqemud.driver import QemuDriver

_LONGEST_ROOT = 3000
"""Bytes of a root's path: sockets are reached at any length, but whole paths below it must stay under PATH_MAX."""


def embed(
    root: str | os.PathLike[str] | None = None,
    *,
    driver: Literal["qemu"] = "qemu",
    lifetime: Lifetime = "app",
    networks: Networks | None = None,
    config: dict[str, Any] | None = None,
) -> Instance:
    """An instance to be opened with `async with`, which gives the driver (a `Hypervisor` contract).

    `root` holds configuration, state, logs and sockets, and is made where it is missing; None is a temporary folder
    that goes when the instance is closed. With lifetime "app" guests end with the instance and with the application,
    even if that is killed; with "keep" they run on, and whoever opens the root next has them again. `networks` gives
    the ports for `<interface type='network'>`. `config` has keys of qemu.conf.

    Opening raises ResourceBusy, naming the holder, when somebody has the root open; SystemError_ when it cannot be
    used. What `expose()` opened is closed with the instance.
    """
    return Instance(root, driver=driver, lifetime=lifetime, networks=networks, config=config)


class Instance:
    """One embedded driver; may be opened and closed any number of times."""

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        driver: str,
        lifetime: Lifetime,
        networks: Networks | None,
        config: dict[str, Any] | None,
    ) -> None:
        if driver != "qemu":
            raise ConfigUnsupported(f"there is no embedded driver '{driver}': use \"qemu\"")
        if lifetime not in ("app", "keep"):
            raise ConfigUnsupported(f"lifetime is 'app' or 'keep', not '{lifetime}'")
        if root is None and lifetime == "keep":
            raise ConfigUnsupported("guests that outlive the application need a root that does: give one")
        self._root, self._lifetime, self._networks, self._config = root, lifetime, networks, config
        self._temporary: str | None = None
        self._driver: QemuDriver | None = None

    async def __aenter__(self) -> QemuDriver:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> QemuDriver:
        """Open it in the running loop; the driver."""
        if self._driver is not None:
            raise RuntimeError("this instance is open")
        root = self._make_root()
        try:
            from virtqemud.driver import QemuDriver
        except ImportError as error:
            raise SystemError_(f"the QEMU driver (package virtqemud) is not installed: {error}") from error
        made = QemuDriver(
            Layout.under(root, "embed"),
            self._config,
            networks=self._networks,
            lifetime=self._lifetime,
            uri=f"qemu:///embed?root={root}",
        )
        try:
            await made.open()
        except BaseException:
            self._drop_temporary()
            raise
        self._driver = made
        return made

    async def close(self) -> None:
        """Close it; once is enough."""
        made, self._driver = self._driver, None
        if made is not None:
            await made.close()
            self._drop_temporary()

    def _make_root(self) -> Path:
        if self._root is None:
            self._temporary = tempfile.mkdtemp(prefix="splitvirt-")
            return Path(self._temporary)
        root = Path(self._root).absolute()
        if len(os.fsencode(root)) > _LONGEST_ROOT:
            raise SystemError_(
                f"the root's path is too long: {len(os.fsencode(root))} bytes, {_LONGEST_ROOT} are allowed"
            )
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SystemError_(f"cannot make the root {root}: {error.strerror}") from error
        return root

    def _drop_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
