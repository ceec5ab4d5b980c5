"""Network cards as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.devices.chardev import ChardevSource
from splitvirt.xml.devices.interface import Interface
from virtqemud.argv.context import Context, Tap
from virtqemud.argv.parts import Parts, options

from .chardev import server
from .properties import place, virtio_name, virtio_options

FIRST_FD = 25
"""What a printed command line says of taps that nobody opened: descriptors from here on."""


def interface(dev: Interface, ctx: Context, bootindex: int | None = None) -> Parts:
    """The connection on the host and the card, or a function of a card of the host."""
    parts, id = Parts(), f"host{dev.alias}"
    if dev.type == "hostdev":
        parts.json("-device", passed(dev, ctx, bootindex))
        return parts
    parts.json("-netdev", connection(dev, ctx, parts) | {"id": id})
    parts.json("-device", card(dev, ctx, id, bootindex))
    return parts


def passed(dev: Interface, ctx: Context, bootindex: int | None) -> dict[str, Any]:
    """`-device` of a PCI function, through VFIO."""
    if dev.hostdev_driver in ("kvm", "xen"):
        raise InternalError(f"invalid PCI passthrough type '{dev.hostdev_driver}'")
    value = {"driver": "vfio-pci", "host": str(dev.host_address), "id": dev.alias, "bootindex": bootindex}
    pair = dev.teaming_persistent if dev.teaming_type == "transient" else None
    return value | {"failover_pair_id": pair} | place(dev, ctx) | rom(dev)


def connection(dev: Interface, ctx: Context, parts: Parts) -> dict[str, Any]:
    """`-netdev` less its id. Raises ConfigUnsupported for types that QEMU has not."""
    match dev.type:
        case "network" | "bridge" | "ethernet" | "direct":
            return tap(dev, ctx, parts)
        case "user":
            return user(dev, ctx)
        case "client" | "server" | "mcast" | "udp":
            return sockets(dev)
        case "vhostuser":
            return vhostuser(dev, parts)
        case "vdpa":
            parts.paths.append(dev.source_dev or "")
            return {"type": "vhost-vdpa", "vhostdev": dev.source_dev}
    raise ConfigUnsupported(f"network device type '{dev.type}' is not supported by this version of qemu")


def tap(dev: Interface, ctx: Context, parts: Parts) -> dict[str, Any]:
    """A tap by descriptors that the driver opened."""
    opened = ctx.taps.get(dev.alias or "", Tap([FIRST_FD + index(dev, ctx)]))
    parts.fds += [*opened.fds, *opened.vhost_fds] if not ctx.native else []
    value: dict[str, Any] = {"type": "tap", **numbered("fd", opened.fds), "sndbuf": dev.sndbuf}
    if opened.vhost_fds:
        value |= {"vhost": True, **numbered("vhostfd", opened.vhost_fds)}
    return value


def index(dev: Interface, ctx: Context) -> int:
    return next(i for i, each in enumerate(ctx.domain.devices.interfaces) if each is dev)


def numbered(name: str, fds: Any) -> dict[str, str]:
    """One descriptor, or several under the plural name."""
    return {name: str(fds[0])} if len(fds) == 1 else {f"{name}s": ":".join(map(str, fds))}


def user(dev: Interface, ctx: Context) -> dict[str, Any]:
    """passt's socket where the driver runs it, else QEMU's own user networking."""
    socket = ctx.passt_sockets.get(dev.alias or "")
    if socket:
        return {"type": "stream", "addr": {"type": "unix", "path": socket}, "server": False}
    value: dict[str, Any] = {"type": "user"}
    for ip in dev.ips:
        if ":" in ip.address:
            value |= {"ipv6-prefix": ip.address, "ipv6-prefixlen": ip.prefix}
        else:
            value["net"] = f"{ip.address}/{ip.prefix}" if ip.prefix else ip.address
    return value


def sockets(dev: Interface) -> dict[str, Any]:
    """A connection between QEMUs."""
    at = f"{dev.source_address or ''}:{dev.source_port}"
    match dev.type:
        case "client":
            return {"type": "socket", "connect": at}
        case "server":
            return {"type": "socket", "listen": at}
        case "mcast":
            return {"type": "socket", "mcast": at}
    near = dev.local
    return {"type": "socket", "udp": at, "localaddr": f"{near.address}:{near.port}" if near else None}


def vhostuser(dev: Interface, parts: Parts) -> dict[str, Any]:
    """A switch's process behind a socket."""
    id = f"char{dev.alias}"
    mode = "bind" if dev.socket_mode == "server" else "connect"
    end = server(ChardevSource(mode=mode, reconnect=dev.reconnect))
    parts.add("-chardev", options("socket", id=id, path=dev.path, **end))
    queues = dev.driver.queues if dev.driver and (dev.driver.queues or 0) > 1 else None
    return {"type": "vhost-user", "chardev": id, "queues": queues}


def card(dev: Interface, ctx: Context, netdev: str, bootindex: int | None) -> dict[str, Any]:
    """`-device` of the card."""
    model = dev.model or "rtl8139"
    is_virtio = model.startswith("virtio")
    head = {"driver": virtio_name("virtio-net", dev, ctx, model) if is_virtio else model}
    extra = virtio_options(dev.driver) | offloads(dev) if is_virtio else {}
    tail = {"netdev": netdev, "id": dev.alias, "mac": dev.mac, "bootindex": bootindex}
    return head | extra | tail | place(dev, ctx) | rom(dev)


def offloads(dev: Interface) -> dict[str, Any]:
    """What a virtio card's queues are and offer."""
    value: dict[str, Any] = {"host_mtu": dev.mtu, "failover": True if dev.teaming_type == "persistent" else None}
    driver = dev.driver
    if driver is None:
        return value
    if driver.queues and driver.queues > 1:
        value |= {"mq": True, "vectors": 2 * driver.queues + 2}
    return value | {
        "tx": {"iothread": "bh", "timer": "timer"}.get(driver.txmode or ""),
        "ioeventfd": driver.ioeventfd, "event_idx": driver.event_idx,
        "csum": driver.host_csum, "gso": driver.host_gso, "host_tso4": driver.host_tso4,
        "host_tso6": driver.host_tso6, "host_ecn": driver.host_ecn, "host_ufo": driver.host_ufo,
        "mrg_rxbuf": driver.host_mrg_rxbuf, "guest_csum": driver.guest_csum, "guest_tso4": driver.guest_tso4,
        "guest_tso6": driver.guest_tso6, "guest_ecn": driver.guest_ecn, "guest_ufo": driver.guest_ufo,
        "rss": driver.rss, "hash": driver.rss_hash_report,
        "rx_queue_size": driver.rx_queue_size, "tx_queue_size": driver.tx_queue_size,
    }  # fmt: skip


def rom(dev: Any) -> dict[str, Any]:
    """The option ROM."""
    if dev.rom_enabled is False:
        return {"romfile": ""}
    return {"rombar": None if dev.rom_bar is None else int(dev.rom_bar), "romfile": dev.rom_file}
