"""Objects and their paths on the bus and in messages, as libvirt-dbus names them: /org/libvirt/QEMU/domain/_UUID."""

from collections.abc import Iterable, Sequence
from typing import Any, get_type_hints

from splitvirt.api.errors import InvalidArg
from splitvirt.api.record import Object, Ref
from splitvirt.dbus.library import Variant
from splitvirt.dbus.names import decode, encode, of_uuid, to_uuid

_UUID_PART = 37  # _ and a UUID
_SEGMENTS = {"NodeDevice": "nodedev"}
_KEYS = ("uuid", "key", "mac", "name")


class Paths:
    """The objects of some kinds below one path."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.kinds: dict[str, type[Object]] = {}

    def add(self, kinds: Iterable[type[Object]]) -> None:
        """Name the objects of these kinds as well; kinds without an interface are not on the bus."""
        self.kinds |= {segment_of(kind): kind for kind in kinds if kind.BUS}

    def of(self, target: Any) -> str:
        """The path of an object."""
        kind = next(kind for kind in self.kinds.values() if isinstance(target, kind))
        return f"{self.base}/{segment_of(kind)}/{leaf_of(kind, target)}"

    def ref(self, path: str, kind: type[Object] | None = None) -> Ref:
        """What a path refers to; InvalidArg when it is no object's, or not one of `kind`."""
        segment, _, leaf = path.removeprefix(self.base + "/").partition("/")
        found = self.kinds.get(segment)
        if found is None or not leaf or not path.startswith(self.base + "/") or kind not in (None, found):
            raise InvalidArg(f"object path {path} is not that of a {kind.KIND if kind else 'known object'}")
        return ref_of(found, leaf)


def segment_of(kind: type[Object]) -> str:
    """The element of the path that says what kind an object is."""
    name = kind.BUS.rpartition(".")[2].rstrip("0123456789")
    return _SEGMENTS.get(name, name.lower())


def key_of(kind: type[Object]) -> str:
    """The field that tells objects of a kind apart."""
    fields = get_type_hints(kind)
    return next(key for key in _KEYS if key in kind.__annotations__ and key in fields)


def parent_of(kind: type[Object]) -> tuple[str, type[Object]] | None:
    """The field that holds what objects of a kind belong to, and its kind."""
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, type) and issubclass(hint, Object) and name in kind.__annotations__:
            return name, hint
    return None


def leaf_of(kind: type[Object], target: Any) -> str:
    """The last element of an object's path."""
    key = key_of(kind)
    own = of_uuid(target.uuid) if key == "uuid" else encode(str(getattr(target, key)))
    if parent := parent_of(kind):
        return f"{of_uuid(getattr(target, parent[0]).uuid)}_{own}"
    return own


def ref_of(kind: type[Object], leaf: str) -> Ref:
    """What the last element of a path refers to."""
    key, fields = key_of(kind), {}
    if parent := parent_of(kind):
        fields[parent[0]] = Ref(parent[1], {"uuid": to_uuid(leaf[:_UUID_PART])})
        leaf = leaf[_UUID_PART + 1 :]
    fields[key] = to_uuid(leaf) if key == "uuid" else decode(leaf)  # type: ignore[assignment]
    return Ref(kind, fields)


class Carrier:
    """What the types need of a message: paths, variants, and the descriptors that it carries."""

    def __init__(self, paths: Paths, fds: Sequence[int] = ()):
        self.paths, self.fds = paths, list(fds)

    def path(self, target: Object) -> str:
        """The path of an object."""
        return self.paths.of(target)

    def ref(self, kind: type[Object], path: str) -> Ref:
        """What a path refers to."""
        return self.paths.ref(path, kind)

    def variant(self, signature: str, value: Any) -> Variant:
        """A value with its type."""
        return Variant(signature, value)

    def attach(self, fd: int) -> int:
        """Carry a descriptor."""
        self.fds.append(fd)
        return len(self.fds) - 1

    def attached(self, at: int) -> int:
        """A descriptor that came along."""
        if not 0 <= at < len(self.fds):
            raise InvalidArg("a file descriptor is missing from the message")
        return self.fds[at]
