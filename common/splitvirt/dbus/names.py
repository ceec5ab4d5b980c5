"""Names on the bus: libvirt-dbus's interfaces and object paths, and our own."""

from uuid import UUID

from splitvirt.api.errors import InvalidArg

LIBVIRT = "org.libvirt"
ERROR = "org.libvirt.Error"
MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
DAEMON = "org.splitvirt.Daemon1"


def service(daemon: str) -> str:
    """The bus name of a daemon."""
    return f"org.splitvirt.{daemon}"


def encode(part: str) -> str:
    """Any text as one element of an object path: what is not a letter or digit as _ and two hex digits."""
    plain = all(c.isascii() and c.isalnum() for c in part)
    return part if plain else "".join(c if c.isascii() and c.isalnum() else _hex(c) for c in part)


def _hex(char: str) -> str:
    return "".join(f"_{byte:02x}" for byte in char.encode())


def decode(part: str) -> str:
    """The text that `encode` made an element of; InvalidArg when it made no such."""
    head, *rest = part.split("_")
    try:
        data = head.encode() + b"".join(bytes([int(p[:2], 16)]) + p[2:].encode() for p in rest)
        return data.decode()
    except (ValueError, UnicodeDecodeError):
        raise InvalidArg(f"malformed object path element '{part}'") from None


def of_uuid(uuid: UUID) -> str:
    """A UUID as an element of an object path, as libvirt-dbus writes it: _ before it, _ for each dash."""
    return "_" + str(uuid).replace("-", "_")


def to_uuid(part: str) -> UUID:
    """The UUID in an element of an object path; InvalidArg when there is none."""
    try:
        return UUID(part.removeprefix("_").replace("_", "-"))
    except ValueError:
        raise InvalidArg(f"malformed UUID in object path element '{part}'") from None
