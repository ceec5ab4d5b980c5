"""A driver's folder of definitions, as libvirt lays it out: `NAME.xml`, and `autostart/NAME.xml` as a link to it."""

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
        """Make the folder where it is missing, and clear away what an interrupted write left."""
        with telling("cannot use"):
            make_private(self.folder)
            sweep_temporary(self.folder)

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
            write_durable(self.path(name), _WARNING.format(edit=self._edit, name=name.replace("--", "- -")) + xml)

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
        """Keep a definition under another name: the new file is there before the old one goes."""
        self.save(new, xml)
        if self.autostart(old):
            self.set_autostart(new, True)
        self.remove(old)

    def _link(self, name: str) -> Path:
        return self.folder / "autostart" / f"{name}.xml"
