"""The guest's IOMMU: what each model needs, in libvirt's words."""

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.address import PciAddress
from splitvirt.xml.devices.iommu import Iommu, IommuDriver
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .machine import is_q35


def basics(domain: Domain, caps: Capabilities) -> None:
    """Checks that come before addresses are given out."""
    iommu = domain.devices.iommu
    if iommu is None:
        return
    if iommu.model != "virtio" and iommu.address is not None:
        raise XMLError(f"iommu model '{iommu.model}' can't have address")
    if iommu.model == "virtio":
        driver = iommu.driver or IommuDriver()
        if any(getattr(driver, name) for name in driver.FIELDS):
            raise XMLError("iommu model 'virtio' doesn't support additional attributes")
    if iommu.model == "virtio" and iommu.address is not None and not isinstance(iommu.address, PciAddress):
        raise ConfigUnsupported("IOMMU device: 'virtio' needs a PCI address")
    if iommu.model == "virtio" and not is_q35(domain):
        raise ConfigUnsupported("IOMMU device: 'virtio' is only supported with Q35 and ARM Virt machines")


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise ConfigUnsupported or XMLError for what the machine does not have."""
    iommu = domain.devices.iommu
    if iommu is None:
        return
    if iommu.model == "intel" and not is_q35(domain):
        raise ConfigUnsupported("IOMMU device: 'intel' is only supported with Q35 machines")
    if iommu.model == "smmuv3":
        raise ConfigUnsupported("IOMMU device: 'smmuv3' is only supported with ARM Virt machines")
    check_options(iommu, domain)


def check_options(iommu: Iommu, domain: Domain) -> None:
    """Only Intel's has options, and interrupt remapping needs the I/O APIC in QEMU."""
    driver = iommu.driver or IommuDriver()
    if iommu.model == "virtio":
        if domain.features is None or not domain.features.acpi:
            raise ConfigUnsupported("IOMMU device: 'virtio' requires ACPI")
        return
    ioapic = domain.features.ioapic if domain.features else None
    if driver.intremap and ioapic != "qemu":
        raise ConfigUnsupported("IOMMU interrupt remapping requires split I/O APIC (ioapic driver='qemu')")
    if driver.eim and not driver.intremap:
        raise ConfigUnsupported("IOMMU eim requires interrupt remapping to be enabled")
