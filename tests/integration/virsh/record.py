"""Records what Debian's libvirtd answers to the table of virsh commands, and to applications' calls.

With `--ours` the table is run against virtqemud and the differences are printed; nothing is written.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from support import libvirtd, virshtable
from support.virtqemud import running

temporary = tempfile.TemporaryDirectory


def record() -> None:
    """Write expected.json and applications.json."""
    with libvirtd.private_libvirtd() as socket, temporary(prefix="vt-") as folder, temporary(prefix="va-") as other:
        made = virshtable.run(f"qemu:///system?socket={socket}", Path(folder))
        told = virshtable.applications(f"qemu:///system?socket={socket}", Path(other))
    table = {f"{row.number} {row.command}": list(made[row.number]) for row in virshtable.rows()}
    virshtable.EXPECTED.write_text(json.dumps(table, indent=1) + "\n")
    virshtable.TOLD.write_text(json.dumps(told, indent=1) + "\n")


def ours() -> None:
    """Print what differs."""
    expected, differing = virshtable.load(), 0
    with temporary(prefix="vr-") as root, temporary(prefix="vt-") as folder, running(Path(root)) as uri:
        made = virshtable.run(uri, Path(folder))
    for row in virshtable.rows():
        status, output = expected[f"{row.number} {row.command}"]
        found = made[row.number]
        if (status, output) != tuple(found):
            differing += 1
            print(f"== {row.number} {row.mark} {row.command}\n--- {status}\n{output}")
            print(f"+++ {found.status}\n{found.output}")
    print(f"{differing} of {len(made)} differ")


if __name__ == "__main__":
    ours() if "--ours" in sys.argv else record()
