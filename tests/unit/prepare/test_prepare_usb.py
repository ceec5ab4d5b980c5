"""USB ports and virtio-serial ports: small inputs and the places that libvirtd 9.0 gives them."""

import pytest

from splitvirt.api.errors import VirtError
from splitvirt.xml.address import UsbAddress, VirtioSerialAddress
from splitvirt.xml.domain import Domain
from virtqemud.prepare.usb import assign_usb
from virtqemud.prepare.virtioserial import assign_virtio_serial

TABLET = "<input type='tablet' bus='usb'/>"
UHCI = "<controller type='usb' index='0' model='piix3-uhci'/>"


def domain(devices: str) -> Domain:
    return Domain.from_xml(
        "<domain type='qemu'><name>t</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{devices}</devices></domain>"
    )


def usb_ports(devices: str) -> tuple[list[str], list[str]]:
    guest = domain(devices)
    assign_usb(guest)
    addresses = [[d.address for d in group] for group in (guest.devices.inputs, guest.devices.hubs)]
    spelt = [[f"{a.bus}:{a.port}" for a in group if isinstance(a, UsbAddress)] for group in addresses]
    return spelt[0], spelt[1]


@pytest.mark.parametrize(
    ("devices", "inputs", "hubs"),
    [
        (UHCI + TABLET * 2, ["0:1", "0:2"], []),
        (UHCI + TABLET * 3, ["0:2", "0:1.1", "0:1.2"], ["0:1"]),
        (UHCI + TABLET * 9, [*(f"0:1.{n}" for n in range(1, 9)), "0:2.1"], ["0:1", "0:2"]),
        (
            UHCI + TABLET * 16,
            [*(f"0:1.{n}" for n in range(2, 9)), *(f"0:1.1.{n}" for n in range(1, 9)), "0:2.1"],
            ["0:1", "0:2", "0:1.1"],
        ),
        (
            UHCI + "<hub type='usb'><address type='usb' bus='0' port='1'/></hub>"
            "<input type='tablet' bus='usb'><address type='usb' bus='0' port='1.3'/></input>" + TABLET,
            ["0:1.3", "0:2"],
            ["0:1"],
        ),
        (
            "<controller type='usb' index='0' model='nec-xhci'/><input type='tablet' bus='usb'>"
            "<address type='usb' bus='0' port='0'/></input>",
            ["0:1"],
            [],
        ),
    ],
)
def test_usb_devices_get_libvirts_ports(devices: str, inputs: list[str], hubs: list[str]) -> None:
    assert usb_ports(devices) == (inputs, hubs)


def at(bus: int, port: str = "") -> str:
    place = f" port='{port}'" if port else ""
    return f"<input type='tablet' bus='usb'><address type='usb' bus='{bus}'{place}/></input>"


@pytest.mark.parametrize(
    ("devices", "code", "message"),
    [
        (UHCI + at(3, "1"), 27, "XML error: Missing USB bus 3"),
        (UHCI + at(3), 27, "XML error: USB bus 3 requested but no controller with that index is present"),
        (UHCI + at(0, "3"), 27, "XML error: requested USB port 3 not present on USB bus 0"),
        (UHCI + at(0, "1") * 2, 27, "XML error: Duplicate USB address bus 0 port 1"),
        (UHCI + at(0, "1.2.3"), 27, "XML error: there is no hub at port 1 in USB address bus: 0 port: 1.2.3"),
        (
            "<controller type='usb' index='1' model='nec-xhci' ports='1'/>" + UHCI + at(1) * 2,
            1,
            "internal error: No free USB ports",
        ),
    ],
)
def test_usb_addresses_that_cannot_be(devices: str, code: int, message: str) -> None:
    with pytest.raises(VirtError) as error:
        assign_usb(domain(devices))
    assert (error.value.code, str(error.value)) == (code, message)


def channel(address: str = "") -> str:
    return f"<channel type='pty'><target type='virtio' name='c'/>{address}</channel>"


def port(number: int, controller: int = 0) -> str:
    return f"<address type='virtio-serial' controller='{controller}' bus='0' port='{number}'/>"


SERIAL = "<controller type='virtio-serial' index='0'/>"


@pytest.mark.parametrize(
    ("devices", "places"),
    [
        (SERIAL + channel() * 2, [(0, 1), (0, 2)]),
        (SERIAL + channel(port(2)) + channel() * 2, [(0, 2), (0, 1), (0, 3)]),
        ("<controller type='virtio-serial' index='0' ports='3'/>" + channel() * 3, [(0, 1), (0, 2), (1, 1)]),
        (SERIAL + channel() * 31, [*((0, n) for n in range(1, 31)), (1, 1)]),
    ],
)
def test_channels_get_libvirts_ports(devices: str, places: list[tuple[int, int]]) -> None:
    guest = domain(devices)
    assign_virtio_serial(guest)
    addresses = [c.address for c in guest.devices.channels]
    assert [(a.controller, a.port) for a in addresses if isinstance(a, VirtioSerialAddress)] == places


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (SERIAL + channel(port(31)), "XML error: virtio serial controller 0 does not have port 31"),
        (SERIAL + channel(port(2)) * 2, "XML error: virtio serial port 2 on controller 0 is already occupied"),
    ],
)
def test_channel_ports_that_cannot_be(devices: str, message: str) -> None:
    with pytest.raises(VirtError, match=message):
        assign_virtio_serial(domain(devices))
