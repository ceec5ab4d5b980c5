"""Being told that files change: inotify(7), read by the running event loop."""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable

IN_MODIFY, IN_CLOSE_WRITE = 0x2, 0x8


class Watch:
    """Calls back when a file that exists is written to; several writes in a row may make one call."""

    def __init__(self, path: str | os.PathLike[str], changed: Callable[[], None]) -> None:
        """Begin in the running loop. Raises OSError when the file is not there."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), IN_MODIFY | IN_CLOSE_WRITE) < 0:
            number = ctypes.get_errno()
            if self._fd >= 0:
                os.close(self._fd)
            raise OSError(number, os.strerror(number), os.fspath(path))
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 65536)
        self._changed()

    def close(self) -> None:
        """End; once is enough."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
