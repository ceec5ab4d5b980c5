"""libvirt's configuration files: `key = "text" | number | ["list"]`, with # comments (libvirt.org/daemons.html)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from splitvirt.host.value import value

Value = str | int | list[str]


class ConfigError(ValueError):
    """A file that cannot be read: the message starts with file and line."""


_TOKEN = r"""(?P<space>(?:[ \t\r]|\#[^\n]*)+)|(?P<line>\n)|(?P<name>[A-Za-z_][\w.-]*)|(?P<number>-?\d+)
    |"{3}(?P<long>.*?)"{3}|"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<mark>[=\[\],])"""


@value
class Key:
    """One key: its kind by its default (bool, int, str or list), what it means, and what else is allowed.

    `check` says what is wrong with a value ("must be ..."), or "". `inert`: why a key of libvirt's does nothing here,
    its default being what is done anyway.
    """

    default: Value | bool
    check: Callable[[Value], str] = lambda value: ""
    reload: bool = False
    inert: str = ""
    text_too: bool | str = False  # as well as what the default is: any text, or this one

    @property
    def kind(self) -> str:
        """How the value is written, for messages."""
        words = {bool: "0 or 1", int: "a number", str: '"text"', list: '["text", ...]'}[type(self.default)]
        return words + (f' or "{"text" if self.text_too is True else self.text_too}"' if self.text_too else "")

    def wrong(self, value: Value) -> str:
        """What is wrong with a value: "" where nothing is."""
        fits = isinstance(value, int if isinstance(self.default, int) else type(self.default))
        if isinstance(value, str) and self.text_too in (True, value):
            return ""
        if not fits or (isinstance(self.default, bool) and value not in (0, 1)):
            return f"must be {self.kind}"
        return self.check(value)


Keys = Mapping[str, Key]


def one_of(*allowed: Value) -> Callable[[Value], str]:
    """A check: one of these values."""
    words = ", ".join(f'"{a}"' if isinstance(a, str) else str(a) for a in allowed)
    return lambda value: "" if value in allowed else f"must be one of {words}"


def within(low: int, high: int) -> Callable[[Value], str]:
    """A check: a number from `low` to `high`, both included."""
    return lambda value: "" if isinstance(value, int) and low <= value <= high else f"must be from {low} to {high}"


def octal(value: Value) -> str:
    """A check: a file mode, as in "0770"."""
    return "" if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value) else 'must be a mode such as "0770"'


def uuid(value: Value) -> str:
    """A check: a UUID that can be a host's ("" for none)."""
    from uuid import UUID

    try:
        plain = isinstance(value, str) and len(set(UUID(value or "0f" * 16).hex)) > 1
    except ValueError:
        plain = False
    return "" if plain else "must be a UUID, and not the same digit all over"


def user(value: Value) -> str:
    """A check: a user that this host knows, by name or number ("+107")."""
    from splitvirt.host.users import known_user

    known = value == "" or (isinstance(value, str) and known_user(value) is not None)
    return "" if known else "there is no such user"


def group(value: Value) -> str:
    """A check: a group that this host knows."""
    from splitvirt.host.users import known_group

    known = value == "" or (isinstance(value, str) and known_group(value) is not None)
    return "" if known else "there is no such group"


@value
class Setting:
    """A key as it stands in a file."""

    name: str
    value: Value
    file: str
    line: int


def read(text: str, file: str = "configuration") -> list[Setting]:
    """Every setting of a file, in order; ConfigError with file and line where it cannot be read."""
    return list(_Reader(text, file).settings())


class Config(Mapping[str, Value]):
    """The keys of one or more files over their defaults. `config["name"]`, or by kind: text, number, flag, texts."""

    def __init__(self, known: Keys) -> None:
        self.known = known
        self.given: dict[str, Setting] = {}
        self.warnings: list[str] = []
        """Each with file and line: unknown keys and keys without effect."""
        self.errors: list[str] = []
        """Each with file and line: values that are refused."""

    @classmethod
    def load(cls, keys: Keys, files: Iterable[tuple[Path, Keys]]) -> "Config":
        """Read files, each with the keys that belong in it; one that does not exist is empty."""
        config = cls(keys)
        for path, own in files:
            try:
                config.add(path.read_text(), str(path), own)
            except FileNotFoundError:
                continue
            except ConfigError as e:
                config.errors.append(str(e))
            except OSError as e:
                from splitvirt.host.refusal import explained

                config.errors.append(f"{path}: {explained(e)}")
            except UnicodeDecodeError as e:
                config.errors.append(f"{path}: {e}")
        return config

    def add(self, text: str, file: str, own: Keys | None = None) -> None:
        """Take in one file's settings; the last one of a name counts."""
        own = self.known if own is None else own
        for setting in read(text, file):
            where = f"{setting.file}:{setting.line}: {setting.name}"
            if (key := own.get(setting.name)) is None:
                self.warnings.append(f"{where}: unknown key{_hint(setting.name, own, self.known)}")
            elif key.inert:
                if setting.value == key.default:
                    continue
                self.warnings.append(f"{where}: has no effect: {key.inert}")
            elif wrong := key.wrong(setting.value):
                self.errors.append(f"{where}: {setting.value!r}: {wrong}")
            else:
                self.given[setting.name] = setting

    def __getitem__(self, name: str) -> Value:
        return self.given[name].value if name in self.given else self.known[name].default

    def get(self, name: str, fallback: Any = None) -> Any:
        """What the files say; else `fallback`, else the key's default."""
        return self[name] if name in self.given or fallback is None else fallback

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def text(self, name: str) -> str:
        """A key whose value is text."""
        value = self[name]
        assert isinstance(value, str), name
        return value

    def number(self, name: str) -> int:
        """A key whose value is a number."""
        value = self[name]
        assert isinstance(value, int), name
        return value

    def flag(self, name: str) -> bool:
        """A key that is on or off."""
        return bool(self.number(name))

    def texts(self, name: str) -> list[str]:
        """A key whose value is a list."""
        value = self[name]
        assert isinstance(value, list), name
        return value

    def frozen_changes(self, other: "Config") -> list[str]:
        """Keys that `other` sets differently and that only a restart takes in."""
        return [name for name, key in self.known.items() if not key.reload and self[name] != other[name]]


def _hint(name: str, own: Keys, known: Keys) -> str:
    from difflib import get_close_matches

    if name in known:
        return "; it belongs in another file"
    near = get_close_matches(name, own, 1, 0.8)
    return f"; did you mean {near[0]}?" if near else ""


class _Reader:
    def __init__(self, text: str, file: str):
        self.text, self.file = text, file
        self.line = 1
        self.tokens = self._tokens()
        self.kind, self.value = "", ""

    def _tokens(self) -> Iterator[tuple[str, str]]:
        at, token = 0, re.compile(_TOKEN, re.VERBOSE | re.DOTALL)
        while at < len(self.text):
            match = token.match(self.text, at)
            if match is None:
                raise self._error(f"unexpected {self.text[at : at + 20].splitlines()[0]!r}")
            kind = match.lastgroup or ""
            if kind != "space":
                yield kind, match[kind]
            self.line += match[0].count("\n")
            at = match.end()
        yield "line", "\n"
        yield "end", ""

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"{self.file}:{self.line}: {what}")

    def _next(self) -> None:
        self.kind, self.value = next(self.tokens)

    def _skip_lines(self) -> None:
        while self.kind == "line":
            self._next()

    def settings(self) -> Iterator[Setting]:
        self._next()
        while True:
            self._skip_lines()
            if self.kind == "end":
                return
            if self.kind != "name":
                raise self._error("expecting a name")
            name, line = self.value, self.line
            self._next()
            if self.value != "=":
                raise self._error(f"expecting an assignment after {name}")
            self._next()
            value = self._list() if (self.kind, self.value) == ("mark", "[") else self._scalar()
            yield Setting(name, value, self.file, line)
            if self.kind != "line":
                raise self._error("expecting the end of the line")

    def _scalar(self) -> str | int:
        kind, value = self.kind, self.value
        if kind not in ("number", "long", "double", "single"):
            raise self._error("expecting a value")
        self._next()
        return int(value) if kind == "number" else value

    def _list(self) -> list[str]:
        found: list[str] = []
        self._next()
        self._skip_lines()
        while self.kind not in ("mark", "end"):
            found.append(str(self._scalar()))
            self._skip_lines()
            if (self.kind, self.value) == ("mark", ","):
                self._next()
                self._skip_lines()
            elif (self.kind, self.value) != ("mark", "]"):
                raise self._error("expecting , or ] in a list")
        if self.value != "]":
            raise self._error("expecting a value or ] in a list")
        self._next()
        return found
