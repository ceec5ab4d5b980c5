"""PCI and PCIe: which buses the guest has and where on them its devices sit."""

from .assign import assign_pci

__all__ = ["assign_pci"]
