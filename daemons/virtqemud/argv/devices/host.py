"""What of the host a command line must look at."""

import json
import os

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import OperationFailed, SystemError_, VirtError


def open_failure(path: str) -> VirtError | None:
    """Why a TPM of the host cannot be used."""
    if os.path.exists(path):
        return None
    return SystemError_(f"Could not open TPM device {path}: No such file or directory", domain=VIR_FROM_QEMU)


def render_node() -> str:
    """The first render node of the host. Raises SystemError_ where it has none."""
    folder = "/dev/dri"
    try:
        nodes = sorted(n for n in os.listdir(folder) if n.startswith("renderD"))
    except OSError as error:
        raise SystemError_(f"cannot open directory '{folder}': {os.strerror(error.errno or 0)}") from None
    if not nodes:
        raise SystemError_("No DRM render nodes available")
    return f"{folder}/{nodes[0]}"


VHOST_USER = ("/usr/share/qemu/vhost-user", "/etc/qemu/vhost-user")
"""Where programs that speak vhost-user describe themselves."""


def gpu_program() -> str:
    """A program that draws for a guest. Raises OperationFailed where none is installed."""
    for folder in VHOST_USER:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            with open(f"{folder}/{name}") as file:
                about = json.load(file)
            if about.get("type") == "gpu":
                return str(about["binary"])
    raise OperationFailed("Unable to find a satisfying vhost-user-gpu")
