"""Where the driver keeps what, in libvirt's layout below a `Layout`."""

import contextlib
import shutil

from splitvirt.host.paths import Layout, make_private

_SHORT = 20
"""Characters of a guest's name in the names of its folders, as libvirt cuts it: socket paths are short."""


class Places:
    """The driver's folders; and one guest's, by `guest()`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.config = layout.etc / "qemu"
        self.state = layout.state("qemu")
        self.lib = layout.lib / "qemu"
        self.log = layout.logs("qemu")
        self.cache = layout.caches("qemu")
        self.nvram = self.lib / "nvram"
        self.save = self.lib / "save"
        self.channel = self.lib / "channel/target"
        self.swtpm = layout.lib / "swtpm"

    def make(self, *, passable: bool = False) -> None:
        """Make the folders that are always needed, for the owner alone.

        With `passable` other users, whom guests run as, get through to what is theirs; the folders stay ours.
        """
        for folder in (self.config, self.state, self.lib, self.log):
            make_private(folder)
        if passable:
            from .security.dac import let_pass

            for folder in (self.state, self.lib, make_private(self.nvram), make_private(self.channel)):
                let_pass(folder)
            let_pass(self.channel.parent)

    def guest(self, id: int, name: str) -> "GuestPlaces":
        """One guest's places while it has this number (-1: before it has one)."""
        return GuestPlaces(self, id, name)


class GuestPlaces:
    """What belongs to one run of one guest."""

    def __init__(self, places: Places, id: int, name: str) -> None:
        self.all = places
        short = f"domain-{id}-{short_name(name)}"
        self.folder = places.lib / short
        self.monitor = self.folder / "monitor.sock"
        self.master_key = self.folder / "master-key.aes"
        self.channels = places.channel / short
        self.status = places.state / f"{name}.status"
        self.log = places.log / f"{name}.log"
        self.nvram = places.nvram / f"{name}_VARS.fd"
        self.managed_save = places.save / f"{name}.save"
        self.swtpm_socket = places.state / "swtpm" / f"{short}-swtpm.sock"

    def make(self) -> None:
        """Make the folder of this run, empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        make_private(self.folder)

    def remove(self) -> None:
        """Remove what this run made and the next one makes anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.channels, ignore_errors=True)
        with contextlib.suppress(OSError):  # the guest is gone all the same
            self.status.unlink()


def short_name(name: str) -> str:
    """A guest's name as it stands in names of folders."""
    return name[:_SHORT].replace("/", "_")
