"""`<nvram>`: the non-volatile memory of POWER machines."""

from splitvirt.xml.devices.device import Device


class Nvram(Device, tag="nvram"):
    """Where it is; it has nothing else to say."""
