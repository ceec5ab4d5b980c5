"""A hypervisor inside an application: no daemon, no global state, everything below one folder.

    async with splitvirt.embed("/path/root") as hv:
        vm = await hv.create(xml)

Any number of instances, in one event loop or in several threads' loops; each belongs to the loop that opened it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from splitvirt.api.errors import ConfigUnsupported, SystemError_
from splitvirt.host.paths import Layout, check_own

if TYPE_CHECKING:
    from splitvirt.api.network import Networks
    from splitvirt.host.process import Lifetime

_LONGEST_ROOT = 3000
"""Bytes of a root's path: sockets are reached at any length, but whole paths below it must stay under PATH_MAX."""


_DRIVERS = {"qemu": ("virtqemud.driver", "QemuDriver"), "network": ("virtnetworkd.driver", "NetworkDriver")}


def embed(
    root: str | os.PathLike[str] | None = None,
    *,
    driver: Literal["qemu", "network"] = "qemu",
    lifetime: Lifetime = "app",
    networks: Networks | None = None,
    config: dict[str, Any] | None = None,
) -> Instance:
    """An instance to be opened with `async with`, which gives the driver (a `Hypervisor` contract).

    `root` holds configuration, state, logs and sockets, and is made where it is missing; None is a temporary folder
    that goes when the instance is closed. With lifetime "app" guests end with the instance and with the application,
    even if that is killed; with "keep" they run on, and whoever opens the root next has them again. `networks` gives
    the ports for `<interface type='network'>`; None asks the host's virtnetworkd. Disks and host devices are named by
    their paths and addresses: there is no `storage=` or `nodedevs=`, as their daemons are not there yet. `config` has
    keys of qemu.conf.

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
        if driver not in _DRIVERS:
            raise ConfigUnsupported(f"there is no embedded driver '{driver}', only {' and '.join(_DRIVERS)}")
        self._kind = driver
        if lifetime not in ("app", "keep"):
            raise ConfigUnsupported(f"lifetime is 'app' or 'keep', not '{lifetime}'")
        if root is None and lifetime == "keep":
            raise ConfigUnsupported("guests that outlive the application need a root that does: give one")
        self._root, self._lifetime, self._networks, self._config = root, lifetime, networks, config
        self._temporary: str | None = None
        self._driver: Any = None

    async def __aenter__(self) -> Any:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Any:
        """Open it in the running loop; the driver."""
        if self._driver is not None:
            raise RuntimeError("this instance is open")
        root = self._make_root()
        try:
            made = self._make(Layout.under(root, "embed"))
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

    def _make(self, layout: Layout) -> Any:
        module, name = _DRIVERS[self._kind]
        try:
            kind = getattr(import_module(module), name)
        except ImportError as error:
            raise SystemError_(f"the {self._kind} driver is not installed: {error}") from error
        if self._kind == "network":
            return kind(layout, lifetime=self._lifetime)
        uri = f"qemu:///embed?root={layout.root}"
        return kind(layout, self._config, networks=self._networks, lifetime=self._lifetime, uri=uri)

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
            check_own(root)
        except OSError as error:
            from splitvirt.host.refusal import refused

            raise refused("cannot use the root", error, root) from error
        return root

    def _drop_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None


class Exposure:
    """The RPC sockets of an instance that applications opened for virsh: mode 0600, for this user and root alone."""

    def __init__(self, contract: type, driver: Any, name: str) -> None:
        self._contract, self._driver, self._name = contract, driver, name
        self._servers: list[Any] = []

    async def open(self, path: Path, *, read_only: bool) -> str:
        """Listen at a path; the URI for virsh. SystemError_ when it cannot be, or is too long for libvirt's clients."""
        from splitvirt.access.rules import Access
        from splitvirt.host.paths import SOCKET_PATH_MAX, socket_path_fits
        from splitvirt.rpc.forward import Route, Routes
        from splitvirt.rpc.server import Server

        if not path.is_absolute():
            raise SystemError_(f"the socket's path must be absolute, not '{path}'")
        if not socket_path_fits(path):
            raise SystemError_(f"{path} is longer than a socket's path may be ({SOCKET_PATH_MAX} bytes): give another")
        shared = {"network": Route(str(Layout.system().socket("virtnetworkd")), "network:///system")}
        server = Server(
            {self._contract: self._driver},
            access=Access(self._name, private=True),
            routes=Routes(shared),
            name="embedded",
        )
        await server.listen(path, readonly=read_only, mode=0o600)
        self._servers.append(server)
        return f"{self._name.lower()}:///system?socket={path}"

    async def close(self) -> None:
        """Close every socket."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.close(drain=1.0)
