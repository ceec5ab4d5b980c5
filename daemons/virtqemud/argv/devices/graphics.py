"""Screens as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported, NoNetwork
from splitvirt.xml.devices.graphics import Graphics, Listen
from virtqemud.argv.context import Context, Settings
from virtqemud.argv.parts import Parts, escape, options

from .audio import backend
from .host import render_node

VNC_PORT, SPICE_PORT, SPICE_TLS_PORT = 5900, 5901, 5902
"""What libvirt prints for ports that are chosen at start."""


def graphics(dev: Graphics, ctx: Context) -> Parts:
    """`-vnc`, `-spice` or `-display`, with the environment that a window needs in `environment`."""
    match dev.type:
        case "vnc":
            return vnc(dev, ctx)
        case "spice":
            return spice(dev, ctx)
        case "sdl":
            return sdl(dev)
        case "egl-headless":
            parts = Parts()
            parts.add("-display", options("egl-headless", rendernode=dev.rendernode or render_node()))
            return parts
        case "dbus":
            return dbus(dev, ctx)
    raise ConfigUnsupported(f"unsupported graphics type '{dev.type}'")


def environment(dev: Graphics, settings: Settings) -> dict[str, str]:
    """What an SDL window is told by environment, and where SASL finds its configuration."""
    if dev.type == "vnc" and settings.vnc_sasl and settings.vnc_sasl_dir:
        return {"SASL_CONF_PATH": settings.vnc_sasl_dir}
    if dev.type == "spice" and settings.spice_sasl and settings.spice_sasl_dir:
        return {"SASL_CONF_PATH": settings.spice_sasl_dir}
    if dev.type != "sdl":
        return {}
    return {k: v for k, v in (("XAUTHORITY", dev.xauth), ("DISPLAY", dev.display)) if v}


def sdl(dev: Graphics) -> Parts:
    parts = Parts()
    if dev.fullscreen:
        parts.add("-full-screen")
    parts.add("-display", options("sdl", gl=dev.gl))
    return parts


def dbus(dev: Graphics, ctx: Context) -> Parts:
    """A D-Bus display; the sound goes along where an audio backend is named."""
    parts = Parts()
    audio = backend(dev.audio_id, ctx) if dev.audio_id else None
    address = None if dev.p2p else dev.address or f"unix:path={ctx.run}/dbus/{ctx.short_name}-dbus.sock"
    parts.add(
        "-display",
        options("dbus", p2p=dev.p2p or None, addr=address, gl=dev.gl, rendernode=dev.rendernode, audiodev=audio),
    )
    return parts


def listen(dev: Graphics) -> Listen:
    """The first place to listen at; where the configuration says when none is given.

    Raises NoNetwork for a network whose address the driver has not put in.
    """
    at = dev.listens[0] if dev.listens else Listen(type="address", address=dev.listen)
    if at.type == "network" and at.address is None:
        raise NoNetwork(f"no network with matching name '{at.network}'")
    return at


def vnc(dev: Graphics, ctx: Context) -> Parts:
    parts, at, settings = Parts(), listen(dev), ctx.settings
    password = True if dev.passwd is not None or settings.vnc_password else None
    shared: dict[str, Any] = {
        "websocket": websocket(dev), "share": dev.share_policy, "power_control": dev.power_control,
        "password": password,
    }  # fmt: skip
    if settings.vnc_tls:
        parts.object(
            "tls-creds-x509", "vnc-tls-creds0", dir=settings.vnc_tls_dir, endpoint="server",
            verify_peer=settings.vnc_tls_verify,
        )  # fmt: skip
        shared["tls_creds"] = "vnc-tls-creds0"
    shared |= {"sasl": True if settings.vnc_sasl else None, "audiodev": backend(dev.audio_id, ctx)}
    rest = options(**shared)
    parts.add("-vnc", vnc_place(dev, at, ctx, parts) + (f",{rest}" if rest else ""))
    if dev.keymap:
        parts.add("-k", dev.keymap)
    return parts


def vnc_place(dev: Graphics, at: Listen, ctx: Context, parts: Parts) -> str:
    if at.type == "socket" or dev.socket:
        path = at.socket or dev.socket or f"{ctx.folder}/vnc.sock"
        parts.sockets.append(path)
        return f"vnc=unix:{escape(path)}"
    if at.type == "none":
        return "none"
    address = at.address or ctx.settings.vnc_listen
    if ":" in address and not address.startswith("["):
        address = f"[{address}]"
    port = dev.port if dev.port and dev.port > 0 else VNC_PORT if dev.autoport is not False else 0
    if not VNC_PORT <= port <= 65535:
        raise ConfigUnsupported(f"vnc port must be in range [{VNC_PORT},65535]")
    return f"{escape(address)}:{port - VNC_PORT}"


def websocket(dev: Graphics) -> int | None:
    if not dev.websocket:
        return None
    return dev.websocket


def spice(dev: Graphics, ctx: Context) -> Parts:
    parts, settings = Parts(), ctx.settings
    tls = ports(dev, ctx)[1] > 0 and listen(dev).type in ("address", "network")
    check_encryption(dev, ctx, tls)
    values: list[str] = [spice_place(dev, ctx, parts)]
    ticket = dev.passwd is None and not settings.spice_password
    mouse = None if dev.mouse_mode is None else dev.mouse_mode == "client"
    values.append(options(
        sasl=True if settings.spice_sasl else None, agent_mouse=mouse, disable_ticketing=True if ticket else None,
        x509_dir=settings.spice_tls_dir if tls else None,
    ))  # fmt: skip
    values += channels(dev)
    values.append(options(
        image_compression=dev.image, jpeg_wan_compression=dev.jpeg, zlib_glz_wan_compression=dev.zlib,
        playback_compression=dev.playback, streaming_video=dev.streaming,
        disable_copy_paste=True if dev.copypaste is False else None,
        disable_agent_file_xfer=True if dev.filetransfer is False else None,
    ))  # fmt: skip
    if dev.gl:
        values.append(options(gl=True, rendernode=dev.rendernode or render_node()))
    values.append("seamless-migration=on")
    parts.add("-spice", ",".join(v for v in values if v))
    if dev.keymap:
        parts.add("-k", dev.keymap)
    return parts


def spice_place(dev: Graphics, ctx: Context, parts: Parts) -> str:
    """Where spice listens."""
    at = listen(dev)
    if at.type == "socket":
        path = at.socket or f"{ctx.folder}/spice.sock"
        parts.sockets.append(path)
        return options("unix", addr=path)
    if at.type == "none":
        return "port=0"
    port, tls = ports(dev, ctx)
    return options(
        port=port if port > 0 or tls <= 0 else None, tls_port=tls if tls > 0 else None,
        addr=at.address or ctx.settings.spice_listen,
    )  # fmt: skip


def ports(dev: Graphics, ctx: Context) -> tuple[int, int]:
    """The plain and the TLS port; where they are chosen at start, what libvirt prints instead."""
    port, tls = dev.port or 0, dev.tls_port or 0
    if not dev.autoport and port >= 0 and tls >= 0:
        return port, tls
    modes = {channel.mode for channel in dev.channels} | {dev.default_mode or "any"}
    plain = bool(modes & {"any", "insecure"})
    secure = "secure" in modes or ("any" in modes and ctx.settings.spice_tls)
    if port <= 0:
        port = SPICE_PORT if port < 0 or (plain and dev.autoport) else 0
    if tls <= 0:
        tls = SPICE_TLS_PORT if secure or tls < 0 else 0
    return port, tls


def check_encryption(dev: Graphics, ctx: Context, tls: bool) -> None:
    """Raise ConfigUnsupported at a start that needs encryption where it is off."""
    if ctx.native or ctx.settings.spice_tls:
        if not tls:
            need_no_encryption(dev, "TLS connection is not available")
        return
    if tls:
        raise ConfigUnsupported("Auto allocation of spice TLS port requested but spice TLS is disabled in qemu.conf")
    need_no_encryption(dev, "TLS is disabled in qemu.conf")


def need_no_encryption(dev: Graphics, why: str) -> None:
    """Raise ConfigUnsupported for channels that must be encrypted where they cannot be."""
    if dev.default_mode == "secure":
        raise ConfigUnsupported(f"spice defaultMode secure requested in XML configuration, but {why}")
    if any(channel.mode == "secure" for channel in dev.channels):
        raise ConfigUnsupported(f"spice secure channels set in XML configuration, but {why}")


def check(ctx: Context) -> None:
    """Raise ConfigUnsupported for more screens, or places to listen at, than QEMU has."""
    screens = ctx.domain.devices.graphics
    if len({s.type for s in screens}) < len(screens):
        raise ConfigUnsupported("only 1 graphics device of each type (sdl, vnc, spice, headless, dbus) is supported")
    if any(len(s.listens) > 1 for s in screens):
        raise ConfigUnsupported("QEMU does not support multiple listens for one graphics device.")


def channels(dev: Graphics) -> list[str]:
    """Which channels must, and which must not, be encrypted."""
    words = {"secure": "tls-channel", "insecure": "plaintext-channel"}
    wanted = [("default", dev.default_mode or "any")] + [(c.name, c.mode) for c in dev.channels]
    return [f"{words[mode]}={name}" for name, mode in wanted if mode in words]
