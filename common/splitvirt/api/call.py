"""A call is declared once, as an annotated method of the object it acts on.

    class Domain(Object):
        @call("virDomainCreateWithFlags", rpc=196, acl="domain:start", dbus="Create", echo=True)
        async def create(self, flags: U32 = 0) -> None:
            '''Start a defined domain.'''

Everything that carries calls (RPC server and client, D-Bus, access check, sync face, reference pages) is derived by
walking `calls(contract)`. The declared method itself answers "not supported"; a driver overrides it.
"""

import functools
import inspect
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar, get_type_hints

from .errors import InvalidArg, NoSupport, RPCError
from .program import PROGRAMS
from .record import Layout, Object, ObjectWire, Record, Ref, wire
from .rule import Rule
from .shape import PLAIN, Field, Shape, Silent
from .stream import Stream
from .wire import Data, Payload, Wire

__all__ = ["Call", "Object", "Older", "Record", "Ref", "call", "calls", "wire"]

M = TypeVar("M", bound=Callable[..., Awaitable[Any]])


class Older:
    """An older procedure that answers through the same method; `fixed` are the arguments that it does not carry."""

    def __init__(
        self,
        rpc: int,
        *,
        acl: str | Sequence[str] | None = None,
        high: bool | None = None,
        shape: Shape | None = None,
        **fixed: Any,
    ) -> None:
        self.rpc, self.acl, self.high, self.shape, self.fixed = rpc, acl, high, shape, fixed


class Call:
    """One procedure: what it is called everywhere, and how its arguments and results travel.

    `params` are the method's parameters by name and type, the object itself first unless the call acts on the root;
    `result` is its type or None. `stream` is "" or the way the data of the extra last argument goes: "in" to the
    driver, "out" of it, "both". All that follows from the method's annotations is worked out at its first use: a
    daemon has hundreds of calls, and most are never made.
    """

    params: list[Field]
    result: Wire | None
    finds: bool
    """It only looks something up, so that permission is asked for what was found."""
    defaults: dict[str, Any]
    args: list[Field]
    answer: list[Wire]
    rules: tuple[Rule, ...]
    _request: Layout
    _reply: Layout

    def __init__(self, on: type, name: str, method: Any, api: str, spec: dict[str, Any]) -> None:
        self.on, self.name, self.api, self._method = on, name, api, method
        self.rpc, self.program = spec["rpc"], PROGRAMS[spec["program"]]
        self.dbus, self.prop, self.off_bus = spec["dbus"], spec["prop"], spec["off_bus"]
        self.high, self.stream, self.sparse, self.echo = spec["high"], spec["stream"], spec["sparse"], spec["echo"]
        self.filter: str = spec["filter"]
        self.shape: Shape = spec["shape"]
        self._acl: str | Sequence[str] = spec["acl"]
        self.fixed: dict[str, Any] = {}
        self.on_object = issubclass(on, Object)
        self.older: tuple[Call, ...] = tuple(_old(self, older) for older in spec["older"])

    def __getattr__(self, name: str) -> Any:
        if name not in Call.__annotations__ or "_reply" in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        self._read()
        self._travel()
        return self.__dict__[name]

    @property
    def doc(self) -> str:
        """What it does, in words."""
        return inspect.getdoc(self._method) or ""

    def _read(self) -> None:
        """Take in the method's signature."""
        hints = get_type_hints(self._method, include_extras=True)
        returns = hints.pop("return")
        own = [("self", wire(self.on))] if self.on_object else []
        self.params = own + [(param, wire(hint)) for param, hint in hints.items() if hint is not Stream]
        self.result = None if returns is type(None) else wire(returns)
        own_names = self._method.__code__.co_varnames[: self._method.__code__.co_argcount]
        given = self._method.__defaults__ or ()
        self.defaults = dict(zip(own_names[len(own_names) - len(given) :], given, strict=True))
        self.defaults |= self._method.__kwdefaults__ or {}

    def _travel(self) -> None:
        """Work out what goes over the wire, and what must be allowed."""
        kind = self.result.kind if isinstance(self.result, ObjectWire) else None
        self.finds = kind is not None and self._acl == f"{kind.KIND}:getattr"
        sent = [field for field in self.params if field[0] not in self.fixed]
        answer = wire(self.on) if self.echo and not isinstance(self.shape, Silent) else self.result
        self.args = self.shape.args(sent)
        self.answer = self.shape.answer(answer)
        names = [name for name, _ in self.params]
        self.rules = tuple(Rule(text, names) for text in ([self._acl] if isinstance(self._acl, str) else self._acl))
        self._request, self._reply = Layout([w for _, w in self.args]), Layout(self.answer)

    def bind(self, values: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        """Values for every parameter, defaults filled in; TypeError as Python's own calls give it."""
        names = [name for name, _ in self.params]
        if len(values) > len(names) or named.keys() - set(names[len(values) :]):
            raise TypeError(f"{self.name}() was given arguments that it does not take")
        rest = [self._given(name, named) for name in names[len(values) :]]
        return [*values, *rest]

    def _given(self, name: str, named: dict[str, Any]) -> Any:
        if name in named:
            return named[name]
        if name not in self.defaults:
            raise TypeError(f"{self.name}() is missing its argument '{name}'")
        return self.defaults[name]

    def pack_args(self, values: Sequence[Any]) -> Payload:
        """In a client: the request for the values of `params`. RPCError for values that cannot be sent."""
        try:
            return self._request.write(self.shape.ask(list(values)))
        except (struct.error, AttributeError, TypeError, UnicodeError, KeyError) as error:
            raise RPCError(f"Unable to encode message payload: {error}") from error

    def unpack_args(self, data: Data, fds: Sequence[int] = ()) -> tuple[list[Any], Any]:
        """In a server: the values of `params` (objects as `Ref`), and a note for `pack_result`."""
        values, note = self._request.values(data, fds), None
        if self.shape is not PLAIN:
            values, note = self.shape.asked(values)
        if self.fixed:
            given = iter(values)
            values = [self.fixed[name] if name in self.fixed else next(given) for name, _ in self.params]
        return values, note

    def pack_result(self, result: Any, note: Any = None) -> Payload:
        """In a server: the answer for what the method returned (the object itself where `echo`)."""
        if not self.answer:
            return Payload()
        return self._reply.write([result] if self.shape is PLAIN else self.shape.tell(result, note))

    def unpack_result(self, data: Data, fds: Sequence[int] = (), make: Any = None) -> Any:
        """In a client: the method's result; `make(kind, fields)` builds the objects in it."""
        told = self.shape.told(self._reply.values(data, fds, make))
        return None if self.result is None else told

    @property
    def bus_params(self) -> list[Field]:
        """The arguments on D-Bus: without the object, and without what libvirt-dbus leaves out."""
        return [field for field in self.params[self.on_object :] if field[0] not in self.off_bus]

    def of_bus(self, values: Sequence[Any]) -> list[Any]:
        """The values of the parameters after the object, given those of `bus_params`."""
        if len(values) != len(self.bus_params):
            raise InvalidArg(f"{self.dbus} takes {len(self.bus_params)} arguments, not {len(values)}")
        given = iter(values)
        return [
            self.defaults[name] if name in self.off_bus else next(given) for name, _ in self.params[self.on_object :]
        ]

    def __repr__(self) -> str:
        return f"<Call {self.on.__name__}.{self.name} {self.rpc}>"


def call(
    api: str,
    *,
    rpc: int,
    acl: str | Sequence[str],
    filter: str = "",
    dbus: str = "",
    prop: str = "",
    off_bus: Sequence[str] = (),
    program: str = "remote",
    high: bool = False,
    echo: bool = False,
    stream: str = "",
    sparse: int = 0,
    shape: Shape | None = None,
    older: Sequence[Older] = (),
) -> Callable[[M], M]:
    """Declare a call: the libvirt function it stands for, its number, who may make it, and its other names.

    `rpc` 0: libvirt's protocol has no such procedure, and only D-Bus has the call.
    `filter`: the permission that each item of the result must pass to be shown. `dbus`: its method on D-Bus, or `prop`:
    the property that it reads or, with an argument, writes. `off_bus`: parameters that the D-Bus method lacks.
    `high`: it never waits for a guest. `echo`: the wire answers with the object that the call acted on. `sparse`: the
    flag by which the stream may have holes. `shape`: where the fields on the wire are others. `older`: procedures that
    it replaced.
    """
    spec = {
        "rpc": rpc, "acl": acl, "filter": filter, "dbus": dbus, "prop": prop, "off_bus": off_bus, "program": program,
        "high": high, "echo": echo, "stream": stream, "sparse": sparse, "shape": shape or PLAIN, "older": older,
    }  # fmt: skip

    def declare(method: M) -> M:
        @functools.wraps(method)
        async def unsupported(self: Any, *values: Any, **named: Any) -> NoReturn:
            raise NoSupport(api)

        unsupported.__dict__["declared"] = (method, api, spec)
        return unsupported  # type: ignore[return-value]

    return declare


@functools.cache
def calls(contract: type) -> tuple[Call, ...]:
    """Every call of a root contract and of the kinds of objects that it manages (`OBJECTS`)."""
    kinds: tuple[type, ...] = (contract, *getattr(contract, "OBJECTS", ()))
    return tuple(made for kind in kinds for made in _declared(kind))


@functools.cache
def _declared(kind: type) -> tuple[Call, ...]:
    """The calls of one class; of base classes that only group declarations, as its own."""
    found: dict[str, Any] = {}
    for cls in kind.__mro__:
        found = found | {
            name: member
            for name, member in vars(cls).items()
            if name not in found and "declared" in getattr(member, "__dict__", ())
        }
    return tuple(Call(kind, name, *member.declared) for name, member in found.items())


def _old(call: Call, older: Older) -> Call:
    """The call that an older procedure makes of this one."""
    made = object.__new__(Call)
    made.__dict__.update(vars(call), rpc=older.rpc, fixed=older.fixed, dbus="", prop="", older=())
    made.high = call.high if older.high is None else older.high
    made.shape = older.shape or PLAIN
    made._acl = call._acl if older.acl is None else older.acl
    return made
