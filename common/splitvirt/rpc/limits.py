"""How much a server lets its clients use, and what it counts for whoever watches it."""

from bisect import bisect_left
from typing import ClassVar, Final


class Limits:
    """libvirt's limits under its own names and defaults; each may be changed while the server runs.

    The two of one user are ours; 0 stands for a quarter of what all may have. They do not hold for root and the
    server's own user.
    """

    max_clients: int = 5000
    max_anonymous_clients: int = 20
    max_user_clients: int = 0
    max_user_anonymous_clients: int = 0
    min_workers: int = 5
    max_workers: int = 20  # calls of ordinary priority under way at once; the rest wait their turn
    prio_workers: int = 5
    max_client_requests: int = 5  # calls of one client under way before it is read from again
    keepalive_interval: float = 5
    keepalive_count: int = 5
    max_output: int = 16 << 20  # bytes that may wait for a client that does not read
    auth_seconds: float = 90  # a client that has not authenticated by then is dropped

    def __init__(self, **given: float) -> None:
        fields = {name: getattr(Limits, name) for name in Limits.__annotations__}
        if given.keys() - fields.keys():
            raise TypeError(f"there is no limit {', '.join(given.keys() - fields.keys())}")
        self.__dict__.update(fields | given)

    @property
    def user_clients(self) -> int:
        """Clients of one user."""
        return self.max_user_clients or -(-self.max_clients // 4)

    @property
    def user_anonymous_clients(self) -> int:
        """Clients of one user that have not authenticated yet; 0: any number. The next ones wait, unread."""
        return self.max_user_anonymous_clients or -(-self.max_anonymous_clients // 4)


class Count:
    """One procedure's record: how often, how often in vain, how long."""

    __slots__ = ("buckets", "errors", "in_flight", "name", "seconds", "total")

    BOUNDS: ClassVar[tuple[float, ...]] = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.errors = 0
        self.in_flight = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(self.BOUNDS) + 1)

    def add(self, seconds: float, failed: bool) -> None:
        """Record a call that has ended; `buckets[i]` are the calls of at most `BOUNDS[i]` seconds."""
        self.total += 1
        self.errors += failed
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1


BOUNDS: Final = Count.BOUNDS
