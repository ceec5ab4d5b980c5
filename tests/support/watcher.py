"""A virsh that prints events in the background. What it is to have heard is bounded by marks, not by pauses."""

import contextlib
import itertools
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_MARK = "virsh-mark-"
_SECONDS = 60.0


class Watcher:
    """A running virsh whose output grows in a file."""

    def __init__(self, uri: str, words: list[str], folder: Path, xml: Callable[[str], str], prefix: str) -> None:
        self.uri, self.folder, self.xml, self.prefix = uri, folder, xml, prefix
        self.output = folder / "watched"
        self._numbers = itertools.count()
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                ["virsh", "-c", uri, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )

    def mark(self) -> None:
        """Have it print a mark, as often as it takes: what happened before has been printed then."""
        names: list[str] = []
        deadline = time.monotonic() + _SECONDS
        while not any(name in self.output.read_text() for name in names):
            assert time.monotonic() < deadline, f"no event came:\n{self.output.read_text()}"
            names.append(f"{_MARK}{next(self._numbers)}-")
            self._touch(names[-1])
            time.sleep(0.05)

    def _touch(self, name: str) -> None:
        document = self.folder / "mark.xml"
        document.write_text(self.xml(name))
        script = f"{self.prefix}define {document}; {self.prefix}undefine {name}"
        subprocess.run(["virsh", "-q", "-c", self.uri, script], check=True, stdout=subprocess.DEVNULL, timeout=_SECONDS)

    def heard(self) -> str:
        """All that it has printed until now, without marks."""
        self.mark()
        return re.sub(rf".*{_MARK}.*\n", "", self.output.read_text())


@contextlib.contextmanager
def watching(
    uri: str, words: list[str], folder: Path, xml: Callable[[str], str], prefix: str = ""
) -> Iterator[Watcher]:
    """A virsh that runs `words` (`event ...`) and is listening. `xml` makes a document of what may be defined.

    `prefix` is what virsh's commands begin with for that kind of object: "net-".
    """
    watcher = Watcher(uri, words, folder, xml, prefix)
    try:
        watcher.mark()
        yield watcher
    finally:
        watcher.process.terminate()
        watcher.process.wait(_SECONDS)
