"""Quirks of the protocol: where a procedure's fields differ from the parameters and the result of its method.

A shape is data of a declaration. It names the fields that only the wire has, and carries values across in both
directions; the drivers, D-Bus and applications never see them.
"""

from typing import Any

from .errors import InvalidArg
from .opaque import Bitmap, Opaque
from .params import Params
from .record import wire
from .types import I32, U32, Str
from .wire import Many, Wire

Field = tuple[str, Wire]
# the fields that only the wire has; most are counts
INT, UINT = wire(I32).on_bus("i"), wire(U32).on_bus("u")
NUMBER, NAME = wire(I32), wire(Str)
STRING_OKAY = 4  # VIR_TYPED_PARAM_STRING_OKAY: the client knows parameters that are strings


class Shape:
    """No difference."""

    def args(self, params: list[Field]) -> list[Field]:
        """The fields of the request, given the method's parameters."""
        return params

    def answer(self, result: Wire | None) -> list[Wire]:
        """The fields of the answer, given the method's result."""
        return [] if result is None else [result]

    def ask(self, values: list[Any]) -> list[Any]:
        """In a client: what to send for the method's values."""
        return values

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        """In a server: the method's values of what was sent, and a note for `tell`."""
        return sent, None

    def tell(self, result: Any, note: Any) -> list[Any]:
        """In a server: what to answer."""
        return [result]

    def told(self, answer: list[Any]) -> Any:
        """In a client: the method's result of what was answered."""
        return answer[0] if answer else None


PLAIN = Shape()


class Silent(Shape):
    """The method has a result that this procedure does not answer with, or has none."""

    def answer(self, result: Wire | None) -> list[Wire]:
        return []

    def tell(self, result: Any, note: Any) -> list[Any]:
        return []


class Zero(Shape):
    """The method has no result, and the procedure answers with the int 0."""

    def answer(self, result: Wire | None) -> list[Wire]:
        return [INT]

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [0]

    def told(self, answer: list[Any]) -> None:
        return None


class Found(Shape):
    """A record whose first field is 0 where there is nothing; an int before it says the same."""

    def answer(self, result: Wire | None) -> list[Wire]:
        assert result is not None
        return [INT, result]

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [int(next(iter(result)) != 0), result]

    def told(self, answer: list[Any]) -> Any:
        return answer[1]


class Inserted(Shape):
    """The request has one more field, before the flags; `at` is its place as a list index (None: the end)."""

    name = "need_results"
    wire = INT

    def __init__(self, at: int | None = -1) -> None:
        self.at = at

    def put(self, values: list[Any], value: Any) -> list[Any]:
        """With the field in its place."""
        at = len(values) if self.at is None else self.at
        return [*values[:at], value, *values[at:]]

    def take(self, sent: list[Any]) -> tuple[list[Any], Any]:
        """Without it, and it."""
        last = len(sent) - 1
        at = last if self.at is None else last + self.at if self.at < 0 else self.at
        return [*sent[:at], *sent[at + 1 :]], sent[at]

    def args(self, params: list[Field]) -> list[Field]:
        return self.put(params, (self.name, self.wire))

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        return self.take(sent)


class Listing(Inserted):
    """A list with its length behind it; asked without need of results, only the length."""

    def answer(self, result: Wire | None) -> list[Wire]:
        assert result is not None
        return [result, UINT]

    def ask(self, values: list[Any]) -> list[Any]:
        return self.put(values, 1)

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [result if note else [], len(result)]


class Counted(Shape):
    """A list with its length behind it."""

    def answer(self, result: Wire | None) -> list[Wire]:
        assert result is not None
        return [result, INT]

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [result, len(result)]


class Room(Inserted):
    """A list of which the client says how much it has room for; asked with no room, how much there is.

    Without `total` the answer does not carry that number. Typed parameters that are strings go only to clients that
    say they know them, by a flag that the method does not see. What a client says that is not `heeded` counts for
    nothing (libvirt-python has never thought about it): all is told.
    """

    def __init__(
        self, name: str = "nparams", at: int | None = -1, total: bool = True, wire: Wire = INT, heeded: bool = True
    ) -> None:
        super().__init__(at)
        self.name, self.total, self.wire, self.heeded = name, total, wire, heeded
        self.limit, self.typed = 0, False

    def answer(self, result: Wire | None) -> list[Wire]:
        assert result is not None
        self.limit, self.typed = vars(result)["limit"], isinstance(result, Params)
        return [result, INT] if self.total else [result]

    def ask(self, values: list[Any]) -> list[Any]:
        if self.typed and self.at is not None:
            values = [*values[:-1], values[-1] | STRING_OKAY]
        return self.put(values, self.limit)

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        values, room = self.take(sent)
        room = room if self.heeded else self.limit
        if room < 0 or room > self.limit:
            raise InvalidArg(f"{self.name} is {room}, and at most {self.limit} are possible")
        if not self.typed or self.at is None:
            return values, (room, True)
        return [*values[:-1], values[-1] & ~STRING_OKAY], (room, bool(values[-1] & STRING_OKAY))

    def tell(self, result: Any, note: Any) -> list[Any]:
        room, strings = note
        if not strings and isinstance(result, list):
            result = [param for param in result if not isinstance(param.value, str)]
        total = len(result)
        if isinstance(result, dict):
            sent: Any = dict(list(result.items())[:room])
        else:
            sent = result[:room]
        return [sent, total] if self.total else [sent]


class Names(Inserted):
    """Of a list of objects, one attribute each: names, ids or UUIDs, as many as the client has room for."""

    def __init__(self, name: str = "maxnames", at: int | None = None, attribute: str = "name") -> None:
        super().__init__(at)
        self.name, self.attribute, self.limit = name, attribute, 0

    def answer(self, result: Wire | None) -> list[Wire]:
        assert isinstance(result, Many)
        self.limit = result.limit
        return [Many(NUMBER if self.attribute == "id" else NAME, result.limit)]

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        values, room = self.take(sent)
        if room < 0 or room > self.limit:
            raise InvalidArg(f"{self.name} is {room}, and at most {self.limit} are possible")
        return values, room

    def tell(self, result: Any, note: Any) -> list[Any]:
        taken = result[:note]
        if result and isinstance(result[0], str):
            return [taken]
        values = [getattr(item, self.attribute) for item in taken]
        return [values if self.attribute == "id" else [str(value) for value in values]]


class Length(Shape):
    """Of a list, only how long it is."""

    def answer(self, result: Wire | None) -> list[Wire]:
        return [INT]

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [len(result)]


class Pins(Shape):
    """Processor maps of equal length one after the other, as many and as long as the client has room for.

    Without `many` there is one map, and the answer says whether it is set.
    """

    def __init__(self, many: bool = True) -> None:
        self.many = many

    def args(self, params: list[Field]) -> list[Field]:
        room = [("ncpumaps", INT), ("maplen", INT)] if self.many else [("maplen", INT)]
        return [*params[:-1], *room, params[-1]]

    def answer(self, result: Wire | None) -> list[Wire]:
        return [Opaque(8388608), INT]

    def ask(self, values: list[Any]) -> list[Any]:
        return [*values[:-1], *((4096, 256) if self.many else (256,)), values[-1]]

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        maps, size = (sent[-3], sent[-2]) if self.many else (1, sent[-2])
        check_maps(maps, size)
        return [*sent[: -3 if self.many else -2], sent[-1]], (maps, size)

    def tell(self, result: Any, note: Any) -> list[Any]:
        maps, size = note
        taken = (result if self.many else [result] if result else [])[:maps]
        return [b"".join(Bitmap.bits(item, size) for item in taken), len(taken)]

    def told(self, answer: list[Any]) -> Any:
        raw, count = answer
        maps = [Bitmap.read(raw[at * 256 : at * 256 + 256]) for at in range(count)]
        return maps if self.many else maps[0] if maps else []


class VcpuList(Shape):
    """Records of processors without their maps, then the maps, as many and as long as the client has room for."""

    def __init__(self) -> None:
        self.kind: Any = None

    def args(self, params: list[Field]) -> list[Field]:
        return [*params, ("maxinfo", INT), ("maplen", INT)]

    def answer(self, result: Wire | None) -> list[Wire]:
        assert isinstance(result, Many)
        self.kind = vars(result.of)["kind"]
        return [Many(vars(result.of)["wires"][0], result.limit), Opaque(8388608)]

    def ask(self, values: list[Any]) -> list[Any]:
        return [*values, 4096, 256]

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        check_maps(*sent[-2:])
        return sent[:-2], sent[-2:]

    def tell(self, result: Any, note: Any) -> list[Any]:
        maps, size = note
        raw = b"".join(Bitmap.bits(item.cpumap, size) for item in result[:maps]) if size else b""
        return [[item.info for item in result[:maps]], raw]

    def told(self, answer: list[Any]) -> Any:
        infos, raw = answer
        return [self.kind(info, Bitmap.read(raw[at * 256 : at * 256 + 256])) for at, info in enumerate(infos)]


class PerCpu(Shape):
    """Typed parameters of each of some processors, flat; asked without room, how many processors or parameters."""

    def args(self, params: list[Field]) -> list[Field]:
        return [params[0], ("nparams", UINT), *params[1:]]

    def answer(self, result: Wire | None) -> list[Wire]:
        return [Params(2048), INT]

    def ask(self, values: list[Any]) -> list[Any]:
        return [values[0], 16 if values[2] else 0, *values[1:]]

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        target, room, start, cpus, flags = sent
        if cpus > 128 or room * cpus > 2048:
            raise InvalidArg(f"room for {cpus} processors of {room} parameters is more than can be sent")
        return [target, start, cpus, flags & ~STRING_OKAY], (room, cpus)

    def tell(self, result: Any, note: Any) -> list[Any]:
        room, cpus = note
        if not room:
            return [[], len(result[0]) if cpus and result else len(result)]
        each = min(room, max(map(len, result), default=0))
        return [[param for params in result for param in params[:each]], each]

    def told(self, answer: list[Any]) -> Any:
        flat, each = answer
        if not flat:
            return [[] for _ in range(each)]
        return [flat[at : at + each] for at in range(0, len(flat), each or 1)]


class OnlineCpus(Shape):
    """The request says what of the answer is wanted; the answer ends with the number of processors."""

    def args(self, params: list[Field]) -> list[Field]:
        return [("need_map", INT), ("need_online", INT), *params]

    def answer(self, result: Wire | None) -> list[Wire]:
        return [Opaque(2048), UINT, INT]

    def ask(self, values: list[Any]) -> list[Any]:
        return [1, 1, *values]

    def asked(self, sent: list[Any]) -> tuple[list[Any], Any]:
        return sent[2:], sent[0]

    def tell(self, result: Any, note: Any) -> list[Any]:
        return [Bitmap.bits(result) if note else b"", sum(result), len(result)]

    def told(self, answer: list[Any]) -> Any:
        return Bitmap.read(answer[0])[: answer[2]]


def check_maps(maps: int, size: int) -> None:
    """Refuse room for more than the protocol carries."""
    if maps < 0 or size < 0 or maps > 16384 or maps * size > 8388608:
        raise InvalidArg(f"room for {maps} maps of {size} bytes is more than can be sent")
