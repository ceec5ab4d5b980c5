"""The images below an image, as its own header names them: QEMU opens those that the configuration does not name."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Iterator

DEEPEST = 200
"""Images of one chain that are looked at; libvirt's figure."""

_NAME_MAX = 1023
_FORMAT = 0xE2792ACA
"""The header extension that says how the image below is laid out (QEMU's docs/interop/qcow2.txt)."""


def below(path: str, kind: str) -> Iterator[str]:
    """The files below an image of a format, the next one first; nothing below what is not "qcow" or "qcow2"."""
    seen = {path}
    while kind in ("qcow", "qcow2") and len(seen) <= DEEPEST:
        name, kind = _named(path)
        path = _local(path, name)
        if not path or path in seen:
            return
        seen.add(path)
        yield path


def _named(path: str) -> tuple[str, str]:
    """The name of the image below and its format, each "" where the header does not say."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "", ""
    try:
        kind = os.fstat(fd).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
            return "", ""
        head = os.pread(fd, 4096, 0)
        if len(head) < 72 or head[:4] != b"QFI\xfb":
            return "", ""
        version, at, length = struct.unpack_from(">IQI", head, 4)
        if not at or not 0 < length <= _NAME_MAX:
            return "", ""
        return os.pread(fd, length, at).decode(errors="surrogateescape"), _format(head, version)
    finally:
        os.close(fd)


def _format(head: bytes, version: int) -> str:
    if version < 2:
        return ""
    at = struct.unpack_from(">I", head, 100)[0] if version >= 3 and len(head) >= 104 else 72
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            break
        if kind == _FORMAT:
            return head[at + 8 : at + 8 + length].decode(errors="replace")
        at += 8 + (length + 7) // 8 * 8
    return ""


def _local(image: str, name: str) -> str:
    """The file that a name in an image's header means; "" for what is on another host."""
    if name.startswith("json:"):
        name = _filename(name[5:])
    name = name.removeprefix("file:")
    if not name or ":" in name.partition("/")[0]:
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(image), name))


def _filename(text: str) -> str:
    try:
        about = json.loads(text)
        about = about.get("file", about)
        found = about.get("filename", about.get("file.filename", ""))
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) else ""
