"""Whether KVM runs guests here: a `/dev/kvm` that opens proves little, so something is run on it, once."""

import asyncio
import os
import tempfile
from pathlib import Path

from splitvirt.host.process import Launcher, User

DEADLINE = 3.0
"""Seconds for the firmware to reach the boot sector: some 0.1 on hardware, beyond 3 where KVM is emulated badly."""

_PORT = 0x501
_VERDICT = 0x31


def boot_sector() -> bytes:
    """A disk of one sector that says `_VERDICT` on the debug-exit port, which ends QEMU with (value << 1) | 1."""
    code = bytes((0xBA, *_PORT.to_bytes(2, "little"), 0xB0, _VERDICT, 0xEE, 0xF4))  # mov dx; mov al; out dx, al; hlt
    return code.ljust(510, b"\0") + b"\x55\xaa"


async def try_kvm(emulator: str, user: User | None = None) -> str:
    """Boot a disk of one sector under KVM (as `user`): "" when it ran, else why KVM is of no use."""
    if not os.access("/dev/kvm", os.F_OK):
        return "/dev/kvm does not exist: no kvm module is loaded, or the host (itself a guest?) has no virtualization"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm may not be opened by this user (on Debian: adduser USER kvm)"
    with tempfile.TemporaryDirectory(prefix="splitvirt-kvm-") as folder:
        disk = Path(folder) / "disk"
        disk.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
        if user is not None:
            for path in (folder, disk):
                os.chown(path, user.uid, user.gid)
        return await _boot(emulator, disk, Path(folder) / "log", user)


async def _boot(emulator: str, disk: Path, words: Path, user: User | None) -> str:
    argv = [emulator, "-no-user-config", "-nodefaults", "-display", "none", "-machine", "pc", "-m", "16"]
    argv += ["-accel", "kvm", "-drive", f"file={disk},format=raw,if=ide,readonly=off"]
    argv += ["-device", f"isa-debug-exit,iobase={_PORT},iosize=1"]
    launcher = Launcher("app")
    with words.open("wb") as output:
        try:
            process = await launcher.spawn(argv, output=output, user=user)
        except OSError as error:
            return str(error)
        try:
            ended = await process.wait(DEADLINE)
            if not ended:
                return f"/dev/kvm opens, and a guest on it does not even reach its boot sector within {DEADLINE:g} s"
            if process.status != (_VERDICT << 1 | 1):
                said = (await asyncio.to_thread(words.read_text, errors="replace")).strip()
                return f"QEMU cannot use /dev/kvm: {said or process.status}"
            return ""
        finally:
            await process.stop(0)
            process.close()
            launcher.close()
