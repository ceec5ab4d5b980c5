"""An index of the objects a driver has: by UUID, by name and, while they run, by number."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class Named(Protocol):
    """What can be indexed. `id` is a positive number while the object is active, else -1."""

    @property
    def name(self) -> str: ...
    @property
    def uuid(self) -> UUID: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Objects in the order they came, found by UUID, name or number without a search.

    Lookups answer None for what is not there. The owner keeps names unique: `add` and `rename` raise KeyError
    on a name or UUID that another object holds.
    """

    def __init__(self) -> None:
        self._by_uuid: dict[UUID, T] = {}
        self._by_name: dict[str, T] = {}
        self._by_id: dict[int, T] = {}

    def add(self, item: T) -> None:
        """Take in an object whose UUID and name are both free."""
        if item.uuid in self._by_uuid or item.name in self._by_name:
            raise KeyError(item.name)
        self._by_uuid[item.uuid] = item
        self._by_name[item.name] = item

    def remove(self, item: T) -> None:
        """Forget an object; one that is not in the index is no error."""
        if self._by_uuid.get(item.uuid) is item:
            del self._by_uuid[item.uuid]
        if self._by_name.get(item.name) is item:
            del self._by_name[item.name]
        for id in [id for id, value in self._by_id.items() if value is item]:
            del self._by_id[id]

    def rename(self, item: T, old: str, new: str) -> None:
        """Move an object from one name to another that is free."""
        if new in self._by_name:
            raise KeyError(new)
        if self._by_name.get(old) is item:
            del self._by_name[old]
        self._by_name[new] = item

    def number(self, item: T, id: int) -> None:
        """Let an active object be found by a number."""
        self._by_id[id] = item

    def unnumber(self, id: int) -> None:
        """Give a number up."""
        self._by_id.pop(id, None)

    def by_uuid(self, uuid: UUID) -> T | None:
        """The object of that UUID."""
        return self._by_uuid.get(uuid)

    def by_name(self, name: str) -> T | None:
        """The object of that name."""
        return self._by_name.get(name)

    def by_id(self, id: int) -> T | None:
        """The active object of that number."""
        return self._by_id.get(id)

    def active(self) -> list[T]:
        """The numbered objects, in the order of their numbers."""
        return [self._by_id[id] for id in sorted(self._by_id)]

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_uuid.values()))

    def __len__(self) -> int:
        return len(self._by_uuid)

    def __contains__(self, item: object) -> bool:
        return any(value is item for value in self._by_uuid.values())
