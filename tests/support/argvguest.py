"""Small guests for command lines: the frame that what a test is about is put into."""

from pathlib import Path

HEAD = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>5e0f4c4d-4c4f-4b1c-9d51-0a4f8a3c1c11</uuid>
  <memory unit='MiB'>{memory}</memory>
  {top}
  <vcpu{vcpus}</vcpu>
  <os>{os}</os>
  <features>{features}</features>
  {cpu}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}
  </devices>
</domain>
"""


def guest(
    devices: str = "", *, machine: str = "pc", features: str = "<acpi/>", top: str = "", cpu: str = "", name: str = "t",
    memory: int = 64, vcpus: str = ">1", os: str = "",
) -> str:  # fmt: skip
    """A guest's XML."""
    return HEAD.format(
        name=name, memory=memory, top=top, vcpus=vcpus, features=features, cpu=cpu, devices=devices,
        os=os or f"<type arch='x86_64' machine='{machine}'>hvm</type>",
    )  # fmt: skip


DISK = "<disk type='file' device='{device}'><driver name='qemu' type='{kind}'{more}/><source file='{path}'/>"
HARD = DISK + "<target dev='{target}' bus='{bus}'/>{inner}</disk>"


def disk(
    folder: Path, bus: str, target: str, *, device: str = "disk", kind: str = "raw", more: str = "", inner: str = ""
) -> str:
    """A disk on an image in the folder: `raw.img`, `top.qcow2` or `cd.img`"""
    path = folder / ("cd.img" if device == "cdrom" else "raw.img" if kind == "raw" else "top.qcow2")
    return HARD.format(device=device, kind=kind, more=more, path=path, target=target, bus=bus, inner=inner)
