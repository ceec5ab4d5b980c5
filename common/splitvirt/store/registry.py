"""An index of the objects a driver has: by UUID, by name and, while they run, by number."""

from collections.abc import Callable, Iterator
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
    on a name or UUID that another object holds. `load` adds what the disk has: it is called when more is first asked
    for than what runs.
    """

    def __init__(self, load: Callable[[], None] | None = None) -> None:
        self._by_uuid: dict[UUID, T] = {}
        self._by_name: dict[str, T] = {}
        self._by_id: dict[int, T] = {}
        self._load = load
        self._then: list[Callable[[list[T]], None]] = []

    @property
    def complete(self) -> bool:
        """Whether what the disk has is here."""
        return self._load is None

    def when_complete(self, then: Callable[[list[T]], None]) -> None:
        """Call `then` with all objects once the disk's are here: at once if they are."""
        self._then.append(then)
        if self.complete:
            self._told()

    def here(self) -> list[T]:
        """The objects that are in memory, without loading more."""
        return list(self._by_uuid.values())

    def _fill(self) -> None:
        if self._load is not None:
            load, self._load = self._load, None
            load()
            self._told()

    def _told(self) -> None:
        waiting, self._then = self._then, []
        for then in waiting:
            then(self.here())

    def add(self, item: T) -> None:
        """Take in an object whose UUID and name are both free."""
        self._fill()
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
        self._fill()
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
        self._fill()
        return self._by_uuid.get(uuid)

    def by_name(self, name: str) -> T | None:
        """The object of that name."""
        self._fill()
        return self._by_name.get(name)

    def by_id(self, id: int) -> T | None:
        """The active object of that number."""
        return self._by_id.get(id)

    def match(self, kind: str, name: str, uuid: UUID, clash: Callable[[str], Exception]) -> T | None:
        """The object that a definition speaks of, None for a new one.

        `clash` makes the error, of libvirt's words, where name and UUID belong to different objects of this `kind`.
        """
        found, other = self.by_uuid(uuid), self.by_name(name)
        if found is not None and found.name != name:
            raise clash(f"{kind} '{found.name}' is already defined with uuid {uuid}")
        if found is None and other is not None:
            raise clash(f"{kind} '{name}' already exists with uuid {other.uuid}")
        return found

    def active(self) -> list[T]:
        """The numbered objects, in the order of their numbers."""
        return [self._by_id[id] for id in sorted(self._by_id)]

    def __iter__(self) -> Iterator[T]:
        self._fill()
        return iter(self.here())

    def __len__(self) -> int:
        self._fill()
        return len(self._by_uuid)

    def __contains__(self, item: object) -> bool:
        return any(value is item for value in self._by_uuid.values())
