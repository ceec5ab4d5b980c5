"""Boot a guest on a network of the shared network daemon, which lends this program a port with an open tap over D-Bus.

This program embeds the QEMU driver alone and needs no privilege of its own.
Usage: python docs/examples/network.py KERNEL INITRD [NETWORK [SECONDS]]
"""

import asyncio
import sys

import splitvirt
from splitvirt.api.stream import pipe

XML = """<domain type='qemu'><name>web</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
<cmdline>console=ttyS0 quiet run=ip~link~set~eth0~up;udhcpc~-i~eth0~-fnq~-x~hostname:web~-s~/dhcp</cmdline></os>
<features><acpi/></features>
<devices><serial type='pty'/><interface type='network'><source network='{network}'/><model type='virtio'/></interface>
</devices></domain>"""


async def main(kernel: str, initrd: str, network: str = "default", seconds: str = "0") -> None:
    async with splitvirt.embed() as hypervisor:
        guest = await hypervisor.create(XML.format(kernel=kernel, initrd=initrd, network=network))
        console, end = pipe()
        await guest.open_console(None, 0, end)
        heard = b""
        async with asyncio.timeout(180):
            while b"guest#" not in heard:
                heard += (said := await console.read() or sys.exit("the guest has ended"))
                print(said.decode(errors="replace").replace("\x1b[6n", ""), end="", flush=True)
        await asyncio.sleep(float(seconds))  # it is on the network now: ping it, ask for it by name


if len(sys.argv) < 3:
    sys.exit(__doc__)
try:
    asyncio.run(main(*sys.argv[1:]))
except splitvirt.VirtError as error:
    sys.exit(str(error))
