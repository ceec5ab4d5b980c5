"""What the small devices may not be, each alone and all together: refusals in libvirt's words."""

from collections import Counter
from ipaddress import ip_address

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InternalError, VirtError, XMLError
from splitvirt.xml.address import CcidAddress, PciAddress, Unassigned
from splitvirt.xml.devices.hostdev import MdevHostdev
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.tpm import EmulatorBackend, Tpm
from splitvirt.xml.devices.video import Video
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from . import charchecks
from .virtio import no_virtio_options

MOST_VIDEO_MEMORY = (1 << 32) // 1024 - 1
"""KiB of which QEMU is told the bytes in 32 bits."""


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise VirtError for the first that cannot be."""
    charchecks.check(domain)
    consoles(domain)
    for dev in domain.devices.inputs:
        input_device(dev)
    for card in domain.devices.interfaces:
        interface(card)
    tpms(domain, caps)
    screens(domain)
    for card_ in domain.devices.videos:
        video(card_, domain)
    for host in domain.devices.hostdevs:
        if isinstance(host, MdevHostdev) and host.boot_order:
            raise ConfigUnsupported(
                f"booting from assigned devices is not supported by mediated devices of model {host.model}"
            )
    if any(s.model == "ich7" for s in domain.devices.sounds) or (
        domain.devices.memballoon is not None and domain.devices.memballoon.model == "xen"
    ):
        raise InternalError("Cannot automatically add a new PCI bus for a device with connect flags 00")
    audio(domain)
    watchdogs(domain)
    panics(domain)
    if domain.devices.nvram is not None:
        raise ConfigUnsupported("nvram device is only supported for PPC64")
    cards = domain.devices.smartcards
    if any(not isinstance(card.address, CcidAddress) for card in cards):
        raise ConfigUnsupported("Controllers must use the 'ccid' address type")
    if len(cards) > 1 or any(isinstance(s.address, CcidAddress) and s.address.place != (0, 0) for s in cards):
        raise ConfigUnsupported("this QEMU binary lacks multiple smartcard support")
    for memory in domain.devices.shmems:
        shmem(memory)


def panics(domain: Domain) -> None:
    """One of each model; POWER's is not ours."""
    for panic in domain.devices.panics:
        if panic.model == "s390":
            raise ConfigUnsupported("only S390 guests support panic device of model 's390'")
        if panic.model == "hyperv" and panic.address is not None:
            raise ConfigUnsupported("setting the panic device address is not supported for model 'hyperv'")
        if panic.model == "isa" and panic.address is not None and panic.address.type != "isa":
            raise ConfigUnsupported("panic is supported only with ISA address type")
    models = [panic.model for panic in domain.devices.panics]
    for model in models:
        if model == "pseries":
            raise ConfigUnsupported("only pSeries guests support panic device of model 'pseries'")
        if models.count(model) > 1:
            raise XMLError(f"Multiple panic devices with model '{model}'")


def consoles(domain: Domain) -> None:
    """Serial consoles after the first; consoles of other architectures."""
    for i, console in enumerate(domain.devices.consoles):
        if i and console.target_type == "serial":
            raise ConfigUnsupported("Only the first console can be a serial port")
        if console.target_type in ("sclp", "sclplm"):
            raise ConfigUnsupported(f"{console.target_type}console is not supported in this QEMU binary")
        if console.target_type not in ("serial", "virtio"):
            raise ConfigUnsupported(f"unsupported console target type {console.target_type}")


def input_device(dev: Input) -> None:
    """Kinds, buses and models that do not go together."""
    if dev.bus == "ps2" and dev.type not in ("mouse", "keyboard"):
        raise InternalError(f"ps2 bus does not support {dev.type} input device")
    if dev.bus == "xen":
        raise InternalError("unsupported input bus xen")
    if dev.type == "evdev" and dev.bus is not None:
        raise ConfigUnsupported("input evdev doesn't support bus element")
    if dev.type == "passthrough" and dev.bus != "virtio":
        raise ConfigUnsupported("only bus 'virtio' is supported for 'passthrough' input devices")
    if dev.model and dev.bus != "virtio":
        raise ConfigUnsupported(f"only bus 'virtio' is supported for input model '{dev.model}'")
    if dev.model in ("virtio-transitional", "virtio-non-transitional"):
        raise ConfigUnsupported(f"virtio (non-)transitional models are not supported for input type={dev.type}")


def interface(dev: Interface) -> None:
    """What a card or a connection of its type cannot have."""
    virtio = (dev.model or "").startswith("virtio")
    if dev.target_managed is False and dev.type != "ethernet":
        raise ConfigUnsupported(f"unmanaged target dev is not supported on interfaces of type '{dev.type}'")
    if dev.type == "hostdev" and dev.address is not None and not isinstance(dev.address, PciAddress | Unassigned):
        raise InternalError("PCI host devices must use 'pci' or 'unassigned' address type")
    guest_side(dev)
    if dev.mtu and dev.type not in ("network", "bridge", "ethernet", "vhostuser"):
        raise ConfigUnsupported(f"setting MTU on interface type {dev.type} is not supported yet")
    if dev.coalesce_frames is not None and dev.type not in ("network", "bridge"):
        raise ConfigUnsupported(f"coalesce settings on interface type {dev.type} are not supported")
    inbound = dev.bandwidth.inbound if dev.bandwidth else None
    if inbound is not None and inbound.floor and dev.type != "network":
        raise ConfigUnsupported("floor attribute is not supported for this config")
    if dev.type == "vdpa" and not virtio:
        raise ConfigUnsupported(f"invalid model for interface of type 'vdpa': '{dev.model}'")
    if dev.type == "vhostuser" and not virtio:
        raise InternalError(
            "Wrong or no <model> 'type' attribute specified with <interface type='vhostuser'/>. "
            "vhostuser requires the virtio-net* frontend"
        )
    if dev.port and dev.port.isolated and dev.type not in ("bridge", "network"):
        raise ConfigUnsupported(
            f"interface {dev.mac} - <port isolated='yes'/> is not supported for network interfaces "
            f"with type='{dev.type}'"
        )
    if dev.port and dev.port.isolated and dev.virtualport is not None and dev.virtualport.type == "openvswitch":
        raise ConfigUnsupported(
            f"interface {dev.mac} - <port isolated='yes'/> is not supported for network interfaces "
            "with virtualport type='openvswitch'"
        )
    if dev.teaming_type == "persistent" and dev.teaming_persistent is not None:
        raise ConfigUnsupported("teaming persistent attribute not allowed if teaming type is 'persistent'")
    if dev.teaming_type == "transient" and dev.teaming_persistent is None:
        raise ConfigUnsupported("teaming persistent attribute must be set if teaming type is 'transient'")
    if dev.teaming_type == "transient" and dev.type not in ("network", "hostdev"):
        raise ConfigUnsupported(f"virtio-net teaming transient interface must be type='hostdev', not '{dev.type}'")
    if dev.teaming_type == "persistent" and not virtio:
        raise ConfigUnsupported(
            f"virtio-net teaming persistent interface must be <model type='virtio'/>, not '{dev.model}'"
        )
    queue_sizes(dev)


def guest_side(dev: Interface) -> None:
    """Only the user's own network tells a guest its address, one of each family."""
    if dev.type != "user":
        if dev.ips or dev.routes:
            raise ConfigUnsupported(
                "Invalid attempt to set network interface guest-side IP route and/or address info, "
                "not supported by QEMU"
            )
        return
    if dev.routes:
        raise ConfigUnsupported("Invalid attempt to set network interface guest-side IP route, not supported by QEMU")
    families = [ip_address(ip.address).version for ip in dev.ips]
    for version in (4, 6):
        if families.count(version) > 1:
            raise ConfigUnsupported(f"Only one IPv{version} address per interface is allowed")
    for ip in dev.ips:
        if ip_address(ip.address).version == 4 and ip.prefix and not 4 <= ip.prefix <= 27:
            raise XMLError("invalid prefix, must be in range of 4-27")
        if ip_address(ip.address).version == 6 and ip.prefix not in (None, 0, 64):
            raise ConfigUnsupported(f"unsupported IPv6 address prefix='{ip.prefix}' - must be 64")
    if any(ip.peer for ip in dev.ips):
        raise ConfigUnsupported("Invalid attempt to set peer IP for guest")


def queue_sizes(dev: Interface) -> None:
    """Queues of a power of two of packets; those that send only where another process serves them."""
    driver = dev.driver
    if driver is None:
        return
    for name in ("rx_queue_size", "tx_queue_size"):
        value = getattr(driver, name)
        if value and value & (value - 1):
            raise ConfigUnsupported(f"{name} has to be a power of two")


def tpms(domain: Domain, caps: Capabilities) -> None:
    """More than one, models that the emulator has not, versions that a model has not."""
    devices = domain.devices.tpms
    if sum(t.model != "spapr-tpm-proxy" for t in devices) > 1:
        raise ConfigUnsupported("only a single TPM non-proxy device is supported")
    for tpm in devices:
        model(tpm, caps)


def model(tpm: Tpm, caps: Capabilities) -> None:
    if isinstance(tpm.backend, EmulatorBackend) and tpm.backend.version == "1.2" and tpm.model == "tpm-crb":
        raise ConfigUnsupported("Unsupported interface 'tpm-crb' for TPM 1.2")
    if tpm.model and not caps.has_device(tpm.model):
        raise ConfigUnsupported(f"The QEMU executable {caps.emulator} does not support TPM model {tpm.model}")


def spice(domain: Domain, tls: bool) -> None:
    """Raise ConfigUnsupported for what asks for encryption where it is off."""
    for screen in domain.devices.graphics:
        if screen.type == "spice" and (screen.tls_port or 0) > 0 and not tls:
            raise ConfigUnsupported("spice TLS port set in XML configuration, but TLS is disabled in qemu.conf")


def screens(domain: Domain) -> None:
    """Kinds that QEMU has not, and more than one of a kind."""
    kinds = Counter(g.type for g in domain.devices.graphics)
    for each in domain.devices.graphics:
        if each.type in ("rdp", "desktop"):
            raise ConfigUnsupported(f"{each.type} graphics are not supported with this QEMU")
        if each.type == "egl-headless" and kinds.keys() - {"vnc", "spice", "egl-headless"}:
            raise ConfigUnsupported(
                "graphics type 'egl-headless' is only supported with one of: 'vnc', 'spice' graphics types"
            )


def video(dev: Video, domain: Domain) -> None:
    """What a graphics card cannot be."""
    kind = dev.model
    if dev.driver and dev.driver.name == "vhostuser" and kind != "virtio":
        raise ConfigUnsupported("'vhostuser' driver is only supported with 'virtio' device")
    if kind != "virtio":
        no_virtio_options(dev.driver)
    if kind != "qxl" and dev.ram:
        raise ConfigUnsupported("ram attribute only supported for video type qxl")
    for name in ("vram64", "vgamem") if kind != "qxl" else ():
        if getattr(dev, name):
            raise ConfigUnsupported(f"{name} attribute only supported for video type qxl")
    for name in ("vram", "ram") if kind == "qxl" else ():
        if getattr(dev, name) > MOST_VIDEO_MEMORY:
            text = f"numerical overflow: value for '{name}' must be less than '{MOST_VIDEO_MEMORY}'"
            raise VirtError(c.VIR_ERR_OVERFLOW, c.VIR_FROM_QEMU, text)
    if kind in ("xen", "vbox", "gop", "parallels"):
        raise ConfigUnsupported(f"domain configuration does not support video model '{kind}'")
    if kind == "none" and len(domain.devices.videos) > 1:
        raise ConfigUnsupported("a 'none' video type must be the only video device defined for the domain")
    if kind == "ramfb" and dev.address is not None:
        raise ConfigUnsupported("address not supported for video type ramfb")
    if not dev.primary and kind in ("vga", "cirrus", "vmvga", "ramfb", "bochs"):
        raise ConfigUnsupported(f"video type '{kind}' is only valid as primary video device")
    if sum(bool(v.primary) for v in domain.devices.videos) > 1:
        raise ConfigUnsupported("Only one primary video device is supported")
    if dev.accel2d:
        raise ConfigUnsupported("qemu does not support the accel2d setting")
    if dev.rendernode and not (dev.driver and dev.driver.name == "vhostuser"):
        raise ConfigUnsupported("unsupported rendernode accel attribute without 'vhostuser'")
    if dev.accel3d and kind != "virtio":
        raise ConfigUnsupported("3d acceleration is supported only with 'virtio' video device")
    if dev.heads not in (None, 1) and kind not in ("qxl", "virtio"):
        raise ConfigUnsupported(f"video type '{kind}' doesn't support multiple 'heads'")
    if kind == "qxl" and dev.vgamem and (dev.vgamem < 1024 or dev.vgamem & (dev.vgamem - 1)):
        raise ConfigUnsupported(
            "value for 'vgamem' must be at least 1 MiB (1024 KiB)"
            if dev.vgamem < 1024
            else "value for 'vgamem' must be power of two"
        )


def audio(domain: Domain) -> None:
    """Backends with the same number; devices that play through one that is not there."""
    devices = domain.devices
    seen: set[int] = set()
    for backend in devices.audios:
        if backend.type == "spice" and not any(g.type == "spice" for g in devices.graphics):
            raise ConfigUnsupported("Spice audio is not supported without spice graphics")
        if backend.id in seen:
            raise XMLError(f"audio ID {backend.id} is used multiple times")
        seen.add(backend.id)
    for wanted in [s.audio_id for s in devices.sounds] + [g.audio_id for g in devices.graphics if g.type == "vnc"]:
        if wanted and wanted not in seen:
            raise XMLError(f"no audio device with ID {wanted}")


def watchdogs(domain: Domain) -> None:
    """Of another architecture, or more than one."""
    for dev in domain.devices.watchdogs:
        address = dev.address
        if dev.model == "i6300esb" and not isinstance(address, PciAddress):
            raise ConfigUnsupported("i6300esb model of watchdog can go only on PCI bus")
        if dev.model == "ib700" and address is not None:
            raise ConfigUnsupported("ib700 model of watchdog does not support configuring the address")
        if dev.model == "diag288" and address is not None:
            raise ConfigUnsupported("diag288 model of watchdog is virtual and cannot go on any bus.")
        if dev.model == "diag288":
            raise ConfigUnsupported("diag288 model of watchdog is allowed for s390 and s390x only")
    if len(domain.devices.watchdogs) > 1:
        raise InternalError("only a single watchdog device is supported")


def shmem(dev: Shmem) -> None:
    """Names, and settings that the model has not."""
    if "/" in dev.name:
        raise ConfigUnsupported("shmem name cannot include '/' character")
    if dev.name in (".", ".."):
        raise ConfigUnsupported(f"shmem name cannot be equal to '{dev.name}'")
    if dev.model not in ("ivshmem-plain", "ivshmem-doorbell"):
        raise ConfigUnsupported("ivshmem device is not supported with this QEMU binary")
    if dev.model == "ivshmem-plain" and dev.server:
        raise ConfigUnsupported("shmem model 'ivshmem-plain' is supported only with server option disabled")
    if dev.model == "ivshmem-doorbell" and not dev.server:
        raise ConfigUnsupported("shmem model 'ivshmem-doorbell' is supported only with server option enabled")
    if dev.model == "ivshmem-doorbell" and dev.size:
        raise ConfigUnsupported("shmem model 'ivshmem-doorbell' does not support size setting")
