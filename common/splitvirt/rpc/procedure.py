"""The procedures that a server answers, by program and number: what each needs first, and who answers it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from .limits import Count
from .message import Message

if TYPE_CHECKING:
    from .peer import Peer

Answer = Callable[["Peer", Message], Awaitable[bytes | bytearray | None]]

# what a client must have done before
NOTHING: Final = 0
AUTHENTICATED: Final = 1
OPENED: Final = 2


class Procedure:
    """One of them. `answer` gives the reply's payload, or None when it replied by itself.

    `high`: it never waits for anything but memory, so that it need not wait its turn. `stage` is what must come first.
    """

    __slots__ = ("answer", "count", "high", "name", "stage")

    def __init__(self, name: str, answer: Answer, *, high: bool = False, stage: int = OPENED) -> None:
        self.name, self.answer, self.high, self.stage = name, answer, high, stage
        self.count = Count(name)


Programs = dict[int, dict[int, Procedure]]
