"""A driver's folder of definitions, as libvirt lays it out: `NAME.xml`, and `autostart/NAME.xml` as a link to it."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from splitvirt.host.paths import make_private
from splitvirt.host.refusal import telling
from splitvirt.store.files import link_durable, remove_durable, sweep_temporary, write_durable

log = logging.getLogger(__name__)

_WARNING = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh {edit} {name}
or other application using the libvirt API.
-->

"""


class ConfigFolder:
    """Definitions by name, one file each (mode 0600), and which of them start with the daemon.

    Every change is on the disk when the method returns; a crash inside leaves the old state or the
    new. SystemError_ names the file or folder that could not be changed, and what mends it.
    """

    def __init__(self, folder: Path, *, edit: str = "edit") -> None:
        self.folder = folder
        self._edit = edit

    def open(self) -> None:
        """Make the folder where it is missing, clear away what an interrupted write left, end an interrupted rename."""
        with telling("cannot use"):
            make_private(self.folder)
            sweep_temporary(self.folder)
            sweep_temporary(self.folder / "autostart")
        self._recover()

    def path(self, name: str) -> Path:
        """Where the definition of that name lies."""
        return self.folder / f"{name}.xml"

    def load(self) -> Iterator[tuple[str, str]]:
        """Name and text of every definition, by name; one that cannot be read is logged and passed over."""
        for path in sorted(self.folder.glob("*.xml")):
            try:
                yield path.stem, path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                log.error("cannot read %s: %s", path, error)

    def save(self, name: str, xml: str) -> None:
        """Keep a definition under a name, in place of the one that was there."""
        with telling("cannot write"):
            write_durable(self.path(name), self._text(name, xml))

    def remove(self, name: str) -> None:
        """Forget a definition and its autostart; one that is not there is no error."""
        with telling("cannot remove"):
            remove_durable(self._link(name))
            remove_durable(self.path(name))

    def autostart(self, name: str) -> bool:
        """Whether the definition of that name starts with the daemon."""
        return self._link(name).is_symlink()

    @property
    def any_autostart(self) -> bool:
        """Whether anything starts with the daemon."""
        return any((self.folder / "autostart").glob("*.xml"))

    def set_autostart(self, name: str, on: bool) -> None:
        """Let a definition start with the daemon, or no longer."""
        with telling("cannot change"):
            if on:
                make_private(self.folder / "autostart")
                link_durable(self._link(name), self.path(name))
            elif self._link(name).is_symlink():
                remove_durable(self._link(name))

    def rename(self, old: str, new: str, xml: str) -> None:
        """Keep a definition under another name, with its autostart; what interrupts it, the next `open` ends it."""
        text = self._text(new, xml)
        with telling("cannot write"):
            write_durable(self._intent, json.dumps({"old": old, "new": new, "sha256": _digest(text.encode())}))
        try:
            self.save(new, xml)
        except BaseException:
            with contextlib.suppress(OSError):
                remove_durable(self._intent)
            raise
        self._finish(old, new)

    @property
    def _intent(self) -> Path:
        """What says that a rename is under way; the digest is of the new file, so that no other is taken for it."""
        return self.folder / ".rename"

    def _finish(self, old: str, new: str) -> None:
        if self.autostart(old):
            self.set_autostart(new, True)
        self.remove(old)
        with telling("cannot remove"):
            remove_durable(self._intent)

    def _recover(self) -> None:
        if not self._intent.exists():
            return
        try:
            intent = json.loads(self._intent.read_bytes())
            old, new, digest = (str(intent[key]) for key in ("old", "new", "sha256"))
            written = _digest(self.path(new).read_bytes()) == digest
        except FileNotFoundError:
            written = False
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s cannot be read: %s", self._intent, error)
            return
        if written:
            log.warning("the rename of %s to %s was interrupted, and is finished now", old, new)
            self._finish(old, new)
        elif self._intent.exists():
            with telling("cannot remove"):
                remove_durable(self._intent)

    def _text(self, name: str, xml: str) -> str:
        return _WARNING.format(edit=self._edit, name=name.replace("--", "- -")) + xml

    def _link(self, name: str) -> Path:
        return self.folder / "autostart" / f"{name}.xml"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
