"""Boot a Linux guest inside this program, hear what it says, let the real virsh look inside, shut it down.

Usage: python docs/examples/embed.py KERNEL INITRD [qemu|kvm]
"""

import asyncio
import sys

import splitvirt
from splitvirt.api.stream import Stream, pipe

XML = """<domain type='{kind}'><name>demo</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
<cmdline>console=ttyS0 quiet</cmdline></os><features><acpi/></features>
<devices><serial type='pty'/></devices></domain>"""


async def hear(console: Stream, words: bytes) -> None:
    """Print what the guest says until it has said `words`."""
    heard = b""
    while words not in heard:
        heard += (said := await console.read() or sys.exit("the guest has ended"))
        print(said.decode(errors="replace").replace("\x1b[6n", ""), end="", flush=True)  # not asked of your terminal


async def virsh(uri: str, *words: str) -> None:
    """What the real virsh says of it."""
    print("\n$ virsh", *words, flush=True)
    await (await asyncio.create_subprocess_exec("virsh", "-q", "-c", uri, *words)).wait()


async def main(kernel: str, initrd: str, kind: str = "qemu") -> None:
    async with asyncio.timeout(120), splitvirt.embed() as hypervisor:
        uri = await hypervisor.expose(read_only=False)
        guest = await hypervisor.create(XML.format(kind=kind, kernel=kernel, initrd=initrd))
        console, end = pipe()
        await guest.open_console(None, 0, end)
        await hear(console, b"guest#")
        await virsh(uri, "list")
        await virsh(uri, "dominfo", "demo")
        await virsh(uri, "qemu-monitor-command", "demo", "--hmp", "info status")
        await guest.shutdown()
        await hear(console, b"Power down")


if len(sys.argv) < 3:
    sys.exit(__doc__)
try:
    asyncio.run(main(*sys.argv[1:]))
except splitvirt.VirtError as error:
    sys.exit(str(error))
