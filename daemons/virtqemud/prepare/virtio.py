"""Options that only virtio devices have."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.device import VirtioOptions


def no_virtio_options(driver: VirtioOptions | None) -> None:
    """Raise ConfigUnsupported for the first of them on a device of another kind."""
    for name in ("iommu", "ats", "packed"):
        if getattr(driver, name, None) is not None:
            raise ConfigUnsupported(f"{name} driver option is only supported for virtio devices")
    if getattr(driver, "page_per_vq", None) is not None:
        raise ConfigUnsupported("page_per_vq option is only supported for virtio devices")
