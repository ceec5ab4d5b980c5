"""`make demo`: the example of the README on a real guest, and a look whether it left anything behind.

VIRT_TYPE=qemu or kvm chooses between emulation and KVM; without it KVM is tried out first.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import testguest

from virtqemud.emulator.kvm import try_kvm

EXAMPLE = Path(__file__).resolve().parent.parent / "docs/examples/embed.py"
EMULATOR = "/usr/bin/qemu-system-x86_64"


def virt_type() -> str:
    """What the user wants, else KVM where a guest really runs on it."""
    if chosen := os.environ.get("VIRT_TYPE"):
        return chosen
    why_not = asyncio.run(try_kvm(EMULATOR))
    print(f"demo: {'KVM works' if not why_not else f'emulating, because {why_not}'}", flush=True)
    return "qemu" if why_not else "kvm"


def processes_with(mark: str) -> list[int]:
    """The processes that have inherited `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # ended meanwhile, or not ours
            continue
    return found


def main() -> int:
    """Run the example; 1 when it fails or leaves something behind."""
    kernel, initrd = testguest.guest_files()
    kind = virt_type()
    with tempfile.TemporaryDirectory(prefix="demo-") as temporary:
        mark = f"SPLITVIRT_DEMO={uuid4()}"
        environment = os.environ | dict([mark.split("=")]) | {"TMPDIR": temporary}
        argv = [sys.executable, str(EXAMPLE), str(kernel), str(initrd), kind]
        status = subprocess.run(argv, env=environment, check=False).returncode
        left = [*os.listdir(temporary), *(f"process {pid}" for pid in processes_with(mark))]
    print(f"demo: left behind: {', '.join(left) or 'nothing'}")
    return 1 if status or left else 0


if __name__ == "__main__":
    sys.exit(main())
