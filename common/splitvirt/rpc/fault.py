"""Errors on the wire: virNetMessageError, the payload of a reply or a stream frame whose status is ERROR."""

import struct
from typing import Final

from splitvirt.api.errors import InternalError, VirtError

_CODES: Final = struct.Struct(">iiI")
_LEVEL_ERROR: Final = 2
# level, then: no domain, no str1, str2, str3, int1, int2, no network
_TAIL: Final = struct.pack(">iIIIIiiI", _LEVEL_ERROR, 0, 0, 0, 0, 0, 0, 0)
_MAX_TEXT: Final = 64 << 10


def pack_error(error: VirtError) -> bytes:
    """The payload that carries an error; its text is cut at 64 KiB."""
    text = str(error).encode(errors="replace")[:_MAX_TEXT]
    return (
        _CODES.pack(error.code, error.domain, 1) + struct.pack(">I", len(text)) + text + bytes(-len(text) % 4) + _TAIL
    )


def unpack_error(payload: bytes) -> VirtError:
    """The error a payload carries; an internal error where it cannot be read."""
    try:
        code, domain, present = _CODES.unpack_from(payload)
        if not present:
            return VirtError.of(code, domain, "an error was caused, but it was not described")
        (size,) = struct.unpack_from(">I", payload, _CODES.size)
        start = _CODES.size + 4
        if start + size > len(payload):
            raise struct.error("text longer than the payload")
        return VirtError.of(code, domain, payload[start : start + size].decode(errors="replace"))
    except struct.error:
        return InternalError("the other side sent an error that cannot be read")
