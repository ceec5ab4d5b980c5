"""Builds the small Linux guest that the demo and the tests boot.

Debian's cloud kernel (its package is unpacked into a cache, never installed) and an initrd made on the spot from
busybox. `python packaging/testguest.py` prints the two paths. Standard library only; needs apt-get, dpkg-deb and a
static busybox on a Debian machine.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "guest"
SOURCES = Path(__file__).resolve().parent / "guest"
PROGRAMS = {"init": "init", "acpi/PWRF/00000080": "power", "dhcp": "dhcp"}  # path in the guest: file in SOURCES
BUSYBOX = "/usr/bin/busybox"
# Loaded in this order; what the kernel has built in is simply not found among the modules.
MODULES = ("evdev", "button", "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_mmio", "failover", "net_failover", "virtio_net", "virtio_blk", "virtio_console", "rng-core",
           "virtio-rng", "virtio_balloon", "virtio_input", "fuse", "virtiofs", "vsock",
           "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport")  # fmt: skip


def guest_files(cache: Path = CACHE) -> tuple[Path, Path]:
    """The paths of the kernel and of the initrd, built on first use; RuntimeError says what is missing."""
    cache.mkdir(parents=True, exist_ok=True)
    sources = [Path(__file__), *sorted(SOURCES.iterdir())]
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    kernel, initrd = cache / "vmlinuz", cache / f"initrd-{recipe}"
    if not kernel.exists():
        _unpack_kernel(cache)
    if not initrd.exists():
        _build_initrd(cache, initrd)
    return kernel, initrd


def _run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{done.stderr or done.stdout}")
    return done.stdout


def _unpack_kernel(cache: Path) -> None:
    depends = _run("apt-cache", "depends", "linux-image-cloud-amd64")
    packages = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line]
    if not packages:
        raise RuntimeError("no Debian cloud kernel among the package lists; run: apt-get update")
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        work = Path(temporary)
        os.chmod(work, 0o755)
        _run("apt-get", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download", packages[0], cwd=work)
        _run("dpkg-deb", "-x", str(next(work.glob("*.deb"))), str(work / "root"))
        shutil.rmtree(cache / "modules", ignore_errors=True)
        shutil.copytree(next((work / "root/lib/modules").iterdir()) / "kernel", cache / "modules")
        os.rename(next((work / "root/boot").glob("vmlinuz-*")), cache / "vmlinuz")


def _build_initrd(cache: Path, initrd: Path) -> None:
    if not os.access(BUSYBOX, os.X_OK):
        raise RuntimeError(f"{BUSYBOX} is missing; run: apt-get install busybox-static")
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        root = Path(temporary)
        for folder in ("bin", "proc", "sys", "dev", "etc", "modules", "acpi/PWRF", "tmp", "mnt"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        found = {path.stem: path for path in sorted((cache / "modules").rglob("*.ko"))}
        order = [found[name] for name in MODULES if name in found]
        for module in order:
            shutil.copy(module, root / "modules" / module.name)
        (root / "modules/order").write_text("".join(f"{module.name}\n" for module in order))
        for name, source in PROGRAMS.items():
            shutil.copy(SOURCES / source, root / name)
            (root / name).chmod(0o755)
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        packed = subprocess.run(("cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"), cwd=root, input=names.encode(),
                                capture_output=True, check=True).stdout  # fmt: skip
        unfinished = root / "initrd"
        unfinished.write_bytes(packed)
        for stale in cache.glob("initrd-*"):
            stale.unlink()
        os.rename(unfinished, initrd)


if __name__ == "__main__":
    try:
        print(*guest_files())
    except RuntimeError as error:
        sys.exit(f"testguest: {error}")
