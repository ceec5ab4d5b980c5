"""Channels as QEMU arguments."""

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, VirtError
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.chardev import ChardevSource
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device

SPICE_AGENT = "com.redhat.spice.0"


def channel(dev: Channel, ctx: Context) -> Parts:
    """A chardev, and a virtio port or a forwarded address of user networking. Raises VirtError for other kinds."""
    if dev.target_type in ("none", "xen"):
        raise VirtError(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_QEMU, "An error occurred, but the cause is unknown")
    parts = Parts()
    placed = with_path(dev, ctx, parts)
    id = f"char{dev.alias}"
    parts += chardev(placed, id, ctx, dev.alias or "", kind="channel")
    if dev.target_type == "guestfwd":
        forward = {"str": f"tcp:{dev.target_address}:{dev.target_port}-chardev:{id}"}
        parts.json("-netdev", {"type": "user", "guestfwd": [forward], "id": dev.alias})
    elif dev.target_type == "virtio":
        device(parts, "virtserialport", dev, ctx, chardev=id, name=port_name(dev))
    return parts


def port_name(dev: Channel) -> str | None:
    """What the guest knows the port by. Raises ConfigUnsupported for a spice agent under another name."""
    if dev.type == "spicevmc":
        if dev.target_name not in (None, SPICE_AGENT):
            raise ConfigUnsupported(f"Unsupported spicevmc target name '{dev.target_name}'")
        return SPICE_AGENT
    return dev.target_name


def with_path(dev: Channel, ctx: Context, parts: Parts) -> Channel:
    """The channel with the path that one without gets: a socket named after the port, in the guest's own folder."""
    if dev.type != "unix" or dev.target_type != "virtio" or (dev.sources and dev.sources[0].path):
        return dev
    placed = dev.copy()
    placed.sources = [ChardevSource(mode="bind", path=f"{ctx.channel_folder}/{socket_name(dev)}")]
    parts.folders.append(ctx.channel_folder)
    return placed


def settle(ctx: Context) -> Parts:
    """Note in the guest the paths that its channels get; what must be there for them."""
    parts = Parts()
    for dev in ctx.domain.devices.channels:
        dev.sources = with_path(dev, ctx, parts).sources
    return parts


def socket_name(dev: Channel) -> str:
    at: Any = dev.address
    if dev.target_name:
        return dev.target_name
    return f"vioser-{at.controller or 0:02d}-{at.bus or 0:02d}-{at.port or 0:02d}.sock" if at else "vioser.sock"
