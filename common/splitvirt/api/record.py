"""Values with fields, objects that calls act on, and the wire form that their annotations give them."""

import functools
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Annotated, Any, ClassVar, dataclass_transform, get_args, get_origin, get_type_hints

from .errors import InvalidArg, RPCError
from .meaning import word
from .wire import Bus, Data, Make, Many, Payload, Reader, Wire


@dataclass_transform()
class Record:
    """A value with named fields, the annotations of its class. It unpacks like a tuple and equals by its fields."""

    FIELDS: ClassVar[tuple[str, ...]] = ()
    MEANINGS: ClassVar[dict[str, str]] = {}
    """What the numbers in a field stand for: the prefix of the constants; {FIELD} in it is that field's word."""

    def __init_subclass__(cls) -> None:
        cls.FIELDS = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.FIELDS
        self.__dict__.update(zip(fields, values, strict=False), **named)
        if len(values) + len(named) != len(fields) or len(self.__dict__) != len(fields) or named.keys() - set(fields):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields)}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__dict__[name] for name in self.FIELDS)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self.FIELDS)})"


class Object:
    """Something that calls act on. The annotations of a kind are the fields that a reference to it carries."""

    KIND: ClassVar[str] = ""  # the first half of its permissions: "domain" of "domain:start"
    XDR: ClassVar[str] = ""
    BUS: ClassVar[str] = ""  # its D-Bus interface
    PROPS: ClassVar[
        dict[str, tuple[str, str]]
    ] = {}  # D-Bus properties that are attributes: the attribute, its signature
    LIST_MAX: ClassVar[int] = 16384

    @property
    def owner(self) -> "Object | None":
        """What it belongs to, whose permissions cover it."""
        return None

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The real object that `ref` speaks of; what it says beside the key is not believed."""
        raise NotImplementedError


class Ref:
    """What a client sent to name an object: its kind and the fields it gave."""

    __slots__ = ("__dict__", "kind")

    def __init__(self, kind: type[Object], fields: dict[str, Any]) -> None:
        self.kind = kind
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a reference to a {self.kind.KIND} carries no {name}")

    def __repr__(self) -> str:
        return f"Ref({self.kind.__name__}, {vars(self)})"


class Layout:
    """Fields one after the other in XDR; neighbours of fixed size are read and written in one step."""

    def __init__(self, wires: Sequence[Wire]) -> None:
        self.wires = tuple(wires)
        self.steps: list[tuple[struct.Struct | None, Wire | None, int, int]] = []
        start = 0
        while start < len(self.wires):
            end = start
            while end < len(self.wires) and self.wires[end].form and self.wires[end].dbus != "b":
                end += 1
            if end > start:
                form = struct.Struct(">" + "".join(wire.form for wire in self.wires[start:end]))
                self.steps.append((form, None, start, end))
            else:
                end = start + 1
                self.steps.append((None, self.wires[start], start, end))
            start = end
        self.form = self.steps[0][0] if len(self.steps) == 1 else None if self.steps else struct.Struct("")
        """The whole, where every field is of fixed size."""

    def pack(self, values: Sequence[Any], out: Payload) -> None:
        """Append the values."""
        for form, wire, start, end in self.steps:
            if form is not None:
                out += form.pack(*values[start:end])
            elif wire is not None:
                wire.pack(values[start], out)

    def unpack(self, data: Reader) -> list[Any]:
        """Read the values."""
        values: list[Any] = []
        for form, wire, _, _ in self.steps:
            if form is not None:
                values += data.take(form)
            elif wire is not None:
                values.append(wire.unpack(data))
        return values

    def write(self, values: Sequence[Any]) -> Payload:
        """A whole payload. RPCError for what is too long to send; other errors are as Python gives them."""
        if self.form is not None:
            return Payload(self.form.pack(*values))
        if len(values) != len(self.wires):
            raise TypeError(f"{len(values)} values for {len(self.wires)} fields")
        out = Payload()
        self.pack(values, out)
        return out

    def read(self, data: Reader) -> list[Any]:
        """The values of a whole payload. RPCError when it is cut short, has something over or makes no sense."""
        try:
            values = self.unpack(data)
        except (struct.error, UnicodeError) as error:
            raise RPCError(f"Unable to decode message payload: {error}") from error
        data.finish()
        return values

    def values(self, data: Data, fds: Sequence[int] = (), make: Make | None = None) -> list[Any]:
        """As `read`, of a payload that nobody else reads on; `fds` and `make` as a `Reader` takes them."""
        if self.form is not None and len(data) == self.form.size:
            return list(self.form.unpack(data))
        return self.read(Reader(data, fds, make))


class RecordWire(Wire):
    """A record: its fields in order, a struct on D-Bus."""

    def __init__(self, kind: type[Record]) -> None:
        self.kind, self.names = kind, kind.FIELDS
        self.wires = [wire(hint) for hint in _hints(kind)]
        self.layout = Layout(self.wires)
        self.xdr, self.dbus = kind.__name__, f"({''.join(field.dbus for field in self.wires)})"

    def pack(self, value: Any, out: Payload) -> None:
        self.layout.pack([getattr(value, name) for name in self.names], out)

    def unpack(self, data: Reader) -> Any:
        made = self.kind.__new__(self.kind)
        made.__dict__.update(zip(self.names, self.layout.unpack(data), strict=True))
        return made

    def to_bus(self, value: Any, bus: Bus) -> list[Any]:
        return [field.to_bus(item, bus) for field, item in zip(self.wires, value, strict=True)]

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return self.kind(*(field.from_bus(item, bus) for field, item in zip(self.wires, value, strict=True)))

    def text(self, value: Any) -> str:
        texts = [kind.text(item) for kind, item in zip(self.wires, value, strict=True)]
        return "\n".join(map(_labelled, self.names, map(self._meant, self.names, value, texts, repeat(vars(value)))))

    def _meant(self, name: str, value: Any, text: str, record: dict[str, Any]) -> str:
        """A field's text, with the word for what its number stands for."""
        said = self._word(name, value, record)
        return f"{said} ({text})" if said else text

    def _word(self, name: str, value: Any, record: dict[str, Any]) -> str:
        prefix = self.kind.MEANINGS.get(name, "")
        others = [other for other in self.names if f"{{{other}}}" in prefix]
        words = {other: self._word(other, record[other], record).upper().replace(" ", "_") for other in others}
        return word(prefix.format(**words), value) if prefix else ""


def _labelled(name: str, text: str) -> str:
    lines = text.split("\n")
    return f"{name}: {text}" if len(lines) == 1 else "\n  ".join([f"{name}:", *lines])


class ObjectWire(Wire):
    """A reference to an object: the fields of its kind, a path on D-Bus."""

    dbus = "o"

    def __init__(self, kind: type[Object]) -> None:
        self.kind, self.xdr = kind, kind.XDR
        self.names = tuple(kind.__annotations__)
        self.layout = Layout([wire(hint) for hint in _hints(kind)])

    def pack(self, value: Any, out: Payload) -> None:
        self.layout.pack([getattr(value, name) for name in self.names], out)

    def unpack(self, data: Reader) -> Any:
        fields = dict(zip(self.names, self.layout.unpack(data), strict=True))
        return data.make(self.kind, fields) if data.make else Ref(self.kind, fields)

    def to_bus(self, value: Any, bus: Bus) -> str:
        return bus.path(value)

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return bus.ref(self.kind, value)

    def parse(self, text: str) -> Any:
        raise InvalidArg(f"a {self.kind.KIND} is looked up, not typed: '{text}'")

    def text(self, value: Any) -> str:
        return " ".join(str(getattr(value, name)) for name in self.names)


class NamedObject(ObjectWire):
    """A reference that D-Bus carries as one attribute instead of a path."""

    dbus = "s"

    def __init__(self, kind: type[Object], attribute: str = "name") -> None:
        super().__init__(kind)
        self.attribute = attribute

    def to_bus(self, value: Any, bus: Bus) -> str:
        return str(getattr(value, self.attribute))

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return Ref(self.kind, {self.attribute: value})


def _hints(kind: type) -> list[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return [hints[name] for name in kind.__annotations__]


@functools.cache
def wire(hint: Any) -> Wire:
    """How an annotation travels: a named type, a record, an object, or a list of objects."""
    if get_origin(hint) is Annotated:
        return next(made for made in get_args(hint)[1:] if isinstance(made, Wire))
    if get_origin(hint) in (list, Sequence):
        (item,) = get_args(hint)
        return Many(wire(item), getattr(item, "LIST_MAX", 16384))
    if issubclass(hint, Object):
        return ObjectWire(hint)
    return RecordWire(hint)
