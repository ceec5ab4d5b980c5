"""Settings of the kernel's network stack, as files under /proc/sys/net; the caller's network namespace is meant."""

from pathlib import Path

ROOT = Path("/proc/sys/net")


def read(name: str) -> str | None:
    """A setting ("ipv4/ip_forward"), or None where the kernel has none of that name."""
    try:
        return (ROOT / name).read_text().strip()
    except OSError:
        return None


def write(name: str, value: str) -> None:
    """Set it; a value that is there already is not written again. Raises OSError."""
    if read(name) != value:
        (ROOT / name).write_text(value)
