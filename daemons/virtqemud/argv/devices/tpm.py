"""TPMs as QEMU arguments."""

from splitvirt.xml.devices.tpm import EmulatorBackend, ExternalBackend, PassthroughBackend, Tpm
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

from .host import open_failure
from .properties import device


def tpm(dev: Tpm, ctx: Context) -> Parts:
    """The way to the TPM and the device in front of it."""
    parts, id = Parts(), f"tpm-{dev.alias}"
    match dev.backend:
        case PassthroughBackend(path=path):
            path = path or "/dev/tpm0"
            problem = open_failure(path)
            if problem:
                raise problem
            cancel = f"/sys/class/tpm/{path.rpartition('/')[2]}/device/cancel"
            parts.add("-tpmdev", options("passthrough", id=id, path=path, cancel_path=cancel))
            parts.paths.append(path)
        case EmulatorBackend() | ExternalBackend():
            socket_chardev(parts, dev, ctx)
            parts.add("-tpmdev", options("emulator", id=id, chardev="chrtpm"))
    if dev.model != "spapr-tpm-proxy":
        device(parts, dev.model or "tpm-tis", dev, ctx, tpmdev=id)
    else:
        device(parts, "spapr-tpm-proxy", dev, ctx, **{"host-path": getattr(dev.backend, "path", None)})
    return parts


def socket_chardev(parts: Parts, dev: Tpm, ctx: Context) -> None:
    """The socket of swtpm: ours, which has none while nothing runs, or somebody's."""
    source = dev.backend.source if isinstance(dev.backend, ExternalBackend) else None
    path = source.path if source else ctx.tpm_socket
    parts.add("-chardev", options("socket", id="chrtpm", path=path) if path else "null,id=chrtpm")
