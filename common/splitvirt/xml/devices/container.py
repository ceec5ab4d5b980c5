"""`<devices>`: all devices of a guest, in libvirt's order."""

from splitvirt.xml.element import Element, text


class Devices(Element, tag="devices", block=True):
    """All devices of a guest, in libvirt's order."""

    emulator: str | None = text()
