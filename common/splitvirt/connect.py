"""Open a contract by its URI: the driver itself when it is embedded, else a stand-in that talks to a daemon.

    driver[+unix]:///system | session | embed[?socket=PATH&root=DIR&mode=auto|direct|legacy&name=URI]

`qemu:///system`, `qemu:///session` and their like find the daemon's socket where libvirt's clients do, `?root=DIR`
below a directory of one's own; `?socket=PATH` names it. `qemu:///embed?root=DIR` is a driver in this process.
"""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from splitvirt.api.errors import InvalidArg, NoConnect, OperationUnsupported
from splitvirt.host.paths import Layout

DRIVERS: Final = {
    "qemu": ("virtqemud", "splitvirt.api.hypervisor", "Hypervisor"),
    "lxc": ("virtlxcd", "splitvirt.api.hypervisor", "Hypervisor"),
    "network": ("virtnetworkd", "splitvirt.api.network", "Networks"),
    "storage": ("virtstoraged", "splitvirt.api.storage", "Storage"),
    "nodedev": ("virtnodedevd", "splitvirt.api.nodedev", "NodeDevices"),
    "secret": ("virtsecretd", "splitvirt.api.secret", "Secrets"),
    "interface": ("virtinterfaced", "splitvirt.api.interface", "Interfaces"),
    "nwfilter": ("virtnwfilterd", "splitvirt.api.nwfilter", "NWFilters"),
}
"""Each driver's daemon, and the contract that it answers."""

MODES: Final = ("auto", "direct", "legacy")
PARAMETERS: Final = ("socket", "root", "mode", "name")


@dataclass(frozen=True)
class Uri:
    """A connection URI, taken apart and checked."""

    driver: str
    place: str  # system, session or embed
    socket: Path | None = None
    root: Path | None = None
    mode: str = "auto"
    name: str = ""
    remote: bool = field(default=False)  # a transport or a socket was named: never this process

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read one. InvalidArg for what cannot be meant, NoConnect for a driver or transport that is not there."""
        parts = urlsplit(text)
        driver, _, transport = parts.scheme.partition("+")
        if driver not in DRIVERS:
            raise NoConnect(f"'{text}': no driver '{driver}', there are {', '.join(DRIVERS)}")
        if transport not in ("", "unix"):
            raise NoConnect(f"'{text}': the transport '{transport}' is not there, only unix")
        if parts.netloc:
            raise NoConnect(f"'{text}': other hosts ('{parts.netloc}') cannot be reached, write {driver}:///...")
        place = parts.path.strip("/")
        if place not in ("system", "session", "embed"):
            raise InvalidArg(f"'{text}': unexpected path '{parts.path}', try {driver}:///system")
        given = cls._parameters(text, parts.query)
        socket, root = (cls._path(text, name, given.get(name)) for name in ("socket", "root"))
        mode = given.get("mode", "auto")
        if mode not in MODES:
            raise InvalidArg(f"'{text}': mode is '{mode}', not one of {', '.join(MODES)}")
        if place == "embed" and not (socket or root):
            raise InvalidArg(f"'{text}': embed needs ?root=DIRECTORY, or ?socket=PATH of an exposed instance")
        return cls(driver, place, socket, root, mode, given.get("name", ""), bool(transport or socket))

    @staticmethod
    def _parameters(text: str, query: str) -> dict[str, str]:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise InvalidArg(f"'{text}': '{query}' does not read name=value&name=value") from None
        given = dict(pairs)
        if len(given) < len(pairs):
            raise InvalidArg(f"'{text}': a parameter is given twice")
        if unknown := given.keys() - set(PARAMETERS):
            raise InvalidArg(
                f"'{text}': unknown parameter {', '.join(sorted(unknown))}; known: {', '.join(PARAMETERS)}"
            )
        return given

    @staticmethod
    def _path(text: str, name: str, value: str | None) -> Path | None:
        if value is None:
            return None
        if not value.startswith("/"):
            raise InvalidArg(f"'{text}': {name} must be an absolute path, not '{value}'")
        return Path(value)

    @property
    def in_process(self) -> bool:
        """Whether the driver is to run in this process."""
        return self.place == "embed" and not self.remote

    @property
    def opens(self) -> str:
        """What is asked of the daemon."""
        return self.name or f"{self.driver}:///{self.place}"

    def socket_path(self, readonly: bool = False) -> Path:
        """The daemon's socket: as given, or where libvirt's clients look."""
        if self.socket is not None:
            return self.socket
        if self.root is not None:
            layout = Layout.under(self.root, "embed")
        else:
            layout = Layout.session() if self.place == "session" else Layout.system()
        kind: Any = "ro" if readonly and self.place == "system" else ""
        own, legacy = layout.socket(DRIVERS[self.driver][0], kind), layout.socket("libvirt", kind)
        use_legacy = self.mode == "legacy" or (self.mode == "auto" and not own.exists() and legacy.exists())
        return legacy if use_legacy else own


def contract_of(driver: str) -> Any:
    """The contract that a driver answers. NoConnect when this version does not have it."""
    _, module, name = DRIVERS[driver]
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise NoConnect(f"the contract of the {driver} driver is not part of this version") from None


async def connect(
    uri: str,
    *,
    readonly: bool = False,
    timeout: float | None = None,
    reconnect: bool = False,
) -> Any:
    """Open a driver: a `Hypervisor`, `Networks`, ... with `events` and `close()`.

    For a daemon, `timeout` bounds every call in seconds, and with `reconnect` a call after a loss connects anew. Raises
    InvalidArg and NoConnect for the URI, SystemError_ when nobody answers, and what the driver has against it.
    """
    parsed = Uri.parse(uri)
    if parsed.in_process:
        return await _embed(parsed, uri)
    from splitvirt.rpc.client import connect_rpc

    return await connect_rpc(
        contract_of(parsed.driver),
        parsed.socket_path(readonly),
        parsed.opens,
        readonly=readonly,
        timeout=timeout,
        reconnect=reconnect,
    )


async def _embed(uri: Uri, text: str) -> Any:
    """A driver in this process; its `close()` ends it."""
    if uri.driver not in ("qemu", "network"):
        raise OperationUnsupported(f"'{text}': the {uri.driver} driver cannot be embedded in this version")
    from splitvirt.embed import embed

    return await embed(uri.root, driver="qemu" if uri.driver == "qemu" else "network").open()
