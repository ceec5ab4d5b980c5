"""The host's end of character devices as `-chardev`."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.chardev import Chardev, ChardevSource
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

SPICE_NAMES = {"smartcard": "smartcard", "channel": "vdagent", "redirdev": "usbredir"}
"""What spice calls the channel of each kind of device."""


def chardev(dev: Chardev, id: str, ctx: Context, alias: str, *, kind: str = "") -> Parts:
    """`-chardev` of a device's backend, with what its encryption needs. `kind` is the device's tag, for spice."""
    parts = Parts()
    source = dev.sources[0] if dev.sources else ChardevSource()
    tls = credentials(parts, dev, source, ctx, id) if dev.type == "tcp" else None
    head, values = backend(dev, source, id, kind)
    log = {"logfile": dev.log_file, "logappend": dev.log_append} if dev.log_file else {}
    parts.add("-chardev", options(head, id=id, **values, tls_creds=tls, **log))
    if dev.type == "unix" and source.mode == "bind" and source.path:
        parts.sockets.append(source.path)
    elif dev.type in ("dev", "file", "pipe") and source.path:
        parts.paths.append(source.path)
    return parts


def backend(dev: Chardev, source: ChardevSource, id: str, kind: str) -> tuple[str, dict[str, object]]:
    """QEMU's name of a backend and its options."""
    match dev.type:
        case "null" | "vc" | "pty" | "stdio":
            return dev.type, {}
        case "dev":
            return "parallel" if kind == "parallel" else "serial", {"path": source.path}
        case "file":
            return "file", {"path": source.path, "append": source.append}
        case "pipe":
            return "pipe", {"path": source.path}
        case "udp":
            return "udp", udp(dev)
        case "tcp":
            telnet = True if dev.protocol == "telnet" else None
            return "socket", {"host": source.host, "port": source.service, "telnet": telnet} | server(source)
        case "unix":
            return "socket", {"path": source.path} | server(source)
        case "spicevmc":
            return "spicevmc", {"name": SPICE_NAMES.get(kind, "vdagent")}
        case "spiceport":
            return "spiceport", {"name": source.channel}
        case "qemu-vdagent":
            mouse = None if source.mouse_mode is None else source.mouse_mode == "client"
            return "qemu-vdagent", {"name": "vdagent", "clipboard": source.copypaste, "mouse": mouse}
        case "dbus":
            return "dbus", {"name": source.channel}
    raise ConfigUnsupported(f"unsupported chardev '{dev.type}'")


def udp(dev: Chardev) -> dict[str, object]:
    """Where packets go and where they are received."""
    near, far = dev.end("bind") or ChardevSource(), dev.end("connect") or ChardevSource()
    return {
        "host": far.host or "",
        "port": far.service,
        "localaddr": near.host or "",
        "localport": near.service or "0",
    }


def server(source: ChardevSource) -> dict[str, object]:
    """Listen without waiting, or connect and perhaps again."""
    if source.mode == "bind":
        return {"server": True, "wait": False}
    again = source.reconnect
    if again is None or again.enabled is None:
        return {}
    return {"reconnect": (again.timeout or 0) if again.enabled else 0}


def credentials(parts: Parts, dev: Chardev, source: ChardevSource, ctx: Context, chardev_id: str) -> str | None:
    """The TLS object of a TCP backend, when it is encrypted; its id."""
    wanted = ctx.settings.chardev_tls if source.tls is None else source.tls
    if not wanted:
        return None
    id = f"obj{chardev_id}_tls0"
    listening = source.mode == "bind"
    parts.object(
        "tls-creds-x509", id, dir=ctx.settings.chardev_tls_dir, endpoint="server" if listening else "client",
        verify_peer=ctx.settings.chardev_tls_verify if listening else True,
    )  # fmt: skip
    return id
