"""`<iommu>`: the guest's own IOMMU."""

from typing import Literal

from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Element, OnOff, Unsigned, attr, child


class IommuDriver(Element, tag="driver", hide_empty=True):
    """What it can do."""

    intremap: OnOff | None = attr()
    caching_mode: OnOff | None = attr()
    eim: OnOff | None = attr()
    iotlb: OnOff | None = attr()
    aw_bits: Unsigned | None = attr(omit=0)


class Iommu(Device, tag="iommu"):
    """One a guest."""

    model: Literal["intel", "smmuv3", "virtio"] = attr()
    driver: IommuDriver | None = child()
