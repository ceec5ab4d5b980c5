"""Classes of plain values, as `dataclass(frozen=True)` makes them, without writing and compiling code for each.

A dataclass takes 0.4 ms and `dataclasses` itself loads `inspect`: a dozen of them were a tenth of a daemon's start.
"""

from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Give a class with annotated fields its constructor, equality, hash and repr; attributes cannot be set later."""
    names = tuple(cls.__annotations__)
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}

    def make(self: Any, *values: Any, **named: Any) -> None:
        given = dict(zip(names, values, strict=False))
        fields = defaults | given | named
        if len(values) > len(names) or given.keys() & named.keys() or fields.keys() != set(names):
            raise TypeError(f"{cls.__name__}() takes {', '.join(names)}")
        self.__dict__.update(fields)

    def fields_of(self: Any) -> tuple[Any, ...]:
        return tuple(self.__dict__[name] for name in names)

    def equal(self: Any, other: object) -> Any:
        return fields_of(self) == fields_of(other) if type(other) is type(self) else NotImplemented

    def shown(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in names)})"

    made: dict[str, Any] = {
        "__init__": make, "__eq__": equal, "__hash__": lambda self: hash(fields_of(self)), "__repr__": shown,
        "__setattr__": _fixed, "__delattr__": _fixed, "__match_args__": names,
    }  # fmt: skip
    for name, function in made.items():
        setattr(cls, name, function)
    return cls


def _fixed(self: object, name: str, *value: object) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")
