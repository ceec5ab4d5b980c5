"""Logging as libvirt's log_level, log_filters and log_outputs configure it, changeable at run time.

A record carries what it is about as `extra={"domain": ..., "uuid": ...}`; in the journal these are the fields
SPLITVIRT_DOMAIN, SPLITVIRT_UUID and so on (FIELDS), in text they follow the message.
"""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from splitvirt.api.errors import InvalidArg
from splitvirt.host.value import value

FIELDS = (
    "domain", "uuid", "network", "port", "client", "user", "call", "pool", "volume", "device", "job", "interface",
)  # fmt: skip
"""What a record may be about: attributes of `extra=`, each a journal field SPLITVIRT_<NAME>."""

_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_JOURNAL = "/run/systemd/journal/socket"

Context = Callable[[], dict[str, str]]


@value
class Filter:
    """`level:match`: records of loggers whose name contains `match`, a shell pattern, are kept from that level on."""

    level: int
    match: str

    def __str__(self) -> str:
        return f"{self.level}:*{self.match}*"

    def about(self, name: str) -> bool:
        """Whether it is about a logger."""
        from fnmatch import fnmatchcase

        return fnmatchcase(name, f"*{self.match}*")


@value
class Output:
    """`level:kind[:target]`: where records of that level and above go."""

    level: int
    kind: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.level}:{self.kind}" + (f":{self.target}" if self.target else "")

    def open(self, name: str) -> logging.Handler:
        """A handler that writes there; InvalidArg when it cannot be opened."""
        try:
            return _OPEN[self.kind](self.target or name)
        except (OSError, ValueError) as e:
            raise InvalidArg(f"log output {self}: {getattr(e, 'strerror', None) or e}") from None


def read_filters(text: str) -> list[Filter]:
    """Parse libvirt's log_filters, separated by spaces; InvalidArg says which one is wrong."""
    found = []
    for word in text.split():
        level, colon, match = word.partition(":")
        if not colon:
            raise InvalidArg(f"Malformed format for filter '{word}': write LEVEL:MATCH")
        found.append(Filter(_level(level, f"filter '{word}'"), match.removeprefix("+")))
        if not match:
            raise InvalidArg(f"Invalid match string '' for filter '{word}': write LEVEL:MATCH")
    return found


def read_outputs(text: str) -> list[Output]:
    """Parse libvirt's log_outputs, separated by spaces; InvalidArg says which one is wrong."""
    found = []
    for word in text.split():
        level, colon, rest = word.partition(":")
        if not colon:
            raise InvalidArg(f"Malformed format for log output '{word}': write LEVEL:DESTINATION")
        kind, _, target = rest.partition(":")
        output = Output(_level(level, f"log output '{word}'"), kind, target)
        if kind not in _OPEN:
            known = ", ".join(_OPEN)
            raise InvalidArg(f"Invalid log destination '{kind}' for log output '{word}': it must be one of {known}")
        if (kind in ("file", "syslog")) != bool(target):
            takes = "a target" if not target else "no target"
            what = f"Log output '{word}' does not meet the format requirements for destination type '{kind}'"
            raise InvalidArg(f"{what}: it takes {takes}")
        if kind == "file" and not target.startswith("/"):
            raise InvalidArg(f"log output '{word}': the file's path must be absolute")
        found.append(output)
    return found


def _level(text: str, what: str) -> int:
    if text not in ("1", "2", "3", "4"):
        allowed = "1 (debug), 2 (info), 3 (warning) or 4 (error)"
        raise InvalidArg(f"Invalid priority '{text}' for {what}: it must be {allowed}")
    return int(text)


class Log:
    """What a daemon logs and where; the process's one user of the root logger."""

    def __init__(self, name: str, context: Context = dict):
        self.name, self.context = name, context
        self.level = 2
        self._filters: list[Filter] = []
        self._outputs: list[Output] = []
        self._handlers: list[logging.Handler] = []
        self._thresholds: dict[str, int] = {}

    @property
    def filters(self) -> str:
        """The filters in force, as libvirt writes them."""
        return " ".join(map(str, self._filters))

    @property
    def outputs(self) -> str:
        """The outputs in force, as libvirt writes them."""
        return " ".join(map(str, self._outputs))

    def configure(self, level: int, filters: str, outputs: str) -> None:
        """Take in configuration: all of it, or on InvalidArg none."""
        read_filters(filters)
        self.set_outputs(outputs)
        self.level = level
        self.set_filters(filters)

    def set_filters(self, text: str) -> None:
        """Replace the filters; empty for none."""
        self._filters = read_filters(text)
        self._thresholds = {}
        lowest = min([self.level, *(f.level for f in self._filters)])
        logging.getLogger().setLevel(_LEVELS[lowest])

    def set_outputs(self, text: str) -> None:
        """Replace the outputs; empty for the default: the journal under systemd, else stderr."""
        outputs = read_outputs(text) or [Output(1, "journald" if under_systemd() else "stderr")]
        handlers = [output.open(self.name) for output in outputs]
        root = logging.getLogger()
        for handler, output in zip(handlers, outputs, strict=True):
            handler.setLevel(_LEVELS[output.level])
            handler.addFilter(self._wanted)
            root.addHandler(handler)
        for old in self._handlers:
            root.removeHandler(old)
            old.close()
        self._outputs, self._handlers = outputs, handlers

    def _wanted(self, record: logging.LogRecord) -> bool:
        if (threshold := self._thresholds.get(record.name)) is None:
            match = next((f.level for f in self._filters if f.about(record.name)), self.level)
            threshold = self._thresholds[record.name] = _LEVELS[match]
        if record.levelno < threshold:
            return False
        for field, about in self.context().items():
            record.__dict__.setdefault(field, about)
        return True

    def close(self) -> None:
        """Stop logging: flush and close every output."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()
        self._handlers = []


def under_systemd() -> bool:
    """Whether this process's stderr is the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    with contextlib.suppress(OSError, ValueError):
        stat = os.fstat(2)
        return (stat.st_dev, stat.st_ino) == (int(device), int(inode))
    return False


class _Text(logging.Formatter):
    def __init__(self, stamped: bool):
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s" if stamped else "%(levelname)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{f}={record.__dict__[f]}" for f in FIELDS if record.__dict__.get(f))
        return super().formatMessage(record) + (f" [{about}]" if about else "")


class JournalHandler(logging.Handler):
    """Writes to journald in its native protocol: one datagram per record, one field per fact."""

    def __init__(self, identifier: str, path: str = _JOURNAL):
        super().__init__()
        self.identifier = identifier
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.connect(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; one that is too long for a datagram goes by a sealed memory file."""
        try:
            data = b"".join(_field(name, value) for name, value in self.fields(record).items())
            try:
                self.socket.send(data)
            except OSError:
                self._send_by_file(data)
        except Exception:
            self.handleError(record)

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """The record as journal fields."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        found = {
            "MESSAGE": message,
            "PRIORITY": str(_PRIORITY.get(record.levelno, 5)),
            "SYSLOG_IDENTIFIER": self.identifier,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        return found | {f"SPLITVIRT_{f.upper()}": str(v) for f in FIELDS if (v := record.__dict__.get(f))}

    def _send_by_file(self, data: bytes) -> None:
        import fcntl

        fd = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            socket.send_fds(self.socket, [b""], [fd])
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
        super().close()


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _stream(name: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text(stamped=not under_systemd()))
    return handler


def _file(path: str) -> logging.Handler:
    Path(path).parent.mkdir(exist_ok=True)  # /var/log/libvirt; more than that is a mistyped path
    handler = logging.FileHandler(path, delay=False)
    handler.setFormatter(_Text(stamped=True))
    return handler


def _syslog(name: str) -> logging.Handler:
    from logging.handlers import SysLogHandler

    handler = SysLogHandler("/dev/log", facility=SysLogHandler.LOG_DAEMON)
    handler.ident = f"{name}[{os.getpid()}]: "
    handler.setFormatter(_Text(stamped=False))
    return handler


_OPEN: dict[str, Callable[[str], logging.Handler]] = {
    "stderr": _stream, "syslog": _syslog, "file": _file, "journald": JournalHandler,
}  # fmt: skip
