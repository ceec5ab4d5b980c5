"""`<filesystem>`: a folder of the host in the guest, through 9p, virtiofs or a container's mount."""

import re
from typing import Annotated, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.source import StorageFormat
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import (
    Element,
    Form,
    Node,
    OnOff,
    Unsigned64,
    WrongValue,
    attr,
    child,
    present,
    size,
)


def read_mode(raw: str) -> int:
    if not re.fullmatch("[0-7]+", raw):
        raise WrongValue("Expected non-negative integer value")
    return int(raw, 8)


FileMode = Annotated[int, Form(read_mode, lambda value: f"{value:04o}")]


class FilesystemDriver(VirtioOptions, tag="driver", hide_empty=True):
    """Who serves the files."""

    type: Literal["path", "handle", "loop", "nbd", "ploop", "virtiofs"] | None = attr()
    format: StorageFormat | None = attr()
    wrpolicy: Literal["immediate"] | None = attr()
    queue: Unsigned64 | None = attr(omit=0, wrong=lambda raw: XMLError(f"cannot parse queue size '{raw}' for virtiofs"))


class Binary(Element, tag="binary", hide_empty=True):
    """The virtiofs daemon and its settings."""

    path: str | None = attr()
    xattr: OnOff | None = attr()
    cache: Literal["none", "always"] | None = attr("cache/@mode")
    sandbox: Literal["namespace", "chroot"] | None = attr("sandbox/@mode")
    posix_lock: OnOff | None = attr("lock/@posix")
    flock: OnOff | None = attr("lock/@flock")
    thread_pool: int | None = attr(
        "thread_pool/@size", wrong=lambda raw: XMLError(f"cannot parse thread pool size '{raw}' for virtiofs")
    )


class Filesystem(Device, tag="filesystem"):
    """A shared folder; `target` is the mount tag (QEMU) or the path (containers). Sizes in bytes."""

    type: Literal["mount", "block", "file", "template", "ram", "bind", "volume"] = attr(default="mount")
    accessmode: Literal["passthrough", "mapped", "squash"] | None = attr()
    model: VirtioModel | None = attr()
    multidevs: Literal["default", "remap", "forbid", "warn"] | None = attr(omit="default")
    fmode: FileMode | None = attr()
    dmode: FileMode | None = attr()
    driver: FilesystemDriver | None = child()
    binary: Binary | None = child()
    dir: str | None = attr("source/@dir", when=("type", ("mount", "bind")))
    socket: str | None = attr("source/@socket", when="mount")
    dev: str | None = attr("source/@dev", when="block")
    file: str | None = attr("source/@file", when="file")
    name: str | None = attr("source/@name", when="template")
    usage: Unsigned64 | None = attr("source/@usage", when="ram")
    units: str | None = attr("source/@units", when="ram")
    pool: str | None = attr("source/@pool", when="volume")
    volume: str | None = attr("source/@volume", when="volume")
    target: str | None = attr("target/@dir")
    readonly: bool = present()
    space_hard_limit: int | None = size(unit="bytes", last=True, omit=0)
    space_soft_limit: int | None = size(unit="bytes", last=True, omit=0)

    def check(self, node: Node) -> None:
        for name, value in (("fmode", self.fmode), ("dmode", self.dmode)):
            if value is not None and value > 0o777:
                raise XMLError(f"invalid {name}: '{value:05o}'")
