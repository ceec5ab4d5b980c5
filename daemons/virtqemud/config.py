"""What is kept of a guest: undefining, renaming, its devices as they will be at the next start."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    DeviceMissing,
    DomainExists,
    InvalidArg,
    OperationFailed,
    OperationInvalid,
    OperationUnsupported,
    XMLError,
)
from splitvirt.store.files import remove_durable
from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element

from .flags import only
from .lifecycle import Lifecycle

QEMU = c.VIR_FROM_QEMU

_UNDEFINE_FLAGS = (
    c.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | c.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | c.VIR_DOMAIN_UNDEFINE_NVRAM
    | c.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
    | c.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | c.VIR_DOMAIN_UNDEFINE_TPM
    | c.VIR_DOMAIN_UNDEFINE_KEEP_TPM
)


class Configuring(Lifecycle):
    """Changes of the kept configuration."""

    async def undefine(self, flags: int = 0) -> None:
        """Forget the configuration; one that runs goes on, transient."""
        only(flags, _UNDEFINE_FLAGS, "qemuDomainUndefineFlags")
        for one, other in (
            (c.VIR_DOMAIN_UNDEFINE_NVRAM, c.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM),
            (c.VIR_DOMAIN_UNDEFINE_TPM, c.VIR_DOMAIN_UNDEFINE_KEEP_TPM),
        ):
            if flags & one and flags & other:
                raise OperationInvalid("cannot both keep and delete nvram", domain=QEMU)
        async with self.job.hold("undefine"):
            config = self.config
            if config is None:
                raise OperationInvalid("cannot undefine transient domain", domain=QEMU)
            if await self.has_managed_save():
                if not flags & c.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE:
                    raise OperationInvalid("Refusing to undefine while domain managed save image exists", domain=QEMU)
                remove_durable(self.places.managed_save)
            self._undefine_nvram(config, flags)
            self.driver.folder.remove(self.name)
            self.config = None
            self.record()
            if not self.active:
                self.driver.forget(self.whole)
        self.tell(c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)

    def _undefine_nvram(self, config: DomainXML, flags: int) -> None:
        from pathlib import Path

        nvram = config.os.nvram.path if config.os and config.os.nvram else None
        if nvram is None and config.os and config.os.firmware == "efi":
            nvram = str(self.places.nvram)
        if not nvram or not Path(nvram).exists():
            return
        if flags & c.VIR_DOMAIN_UNDEFINE_NVRAM:
            remove_durable(nvram)
        elif not flags & c.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM:
            raise OperationInvalid("cannot undefine domain with nvram", domain=QEMU)

    async def rename(self, name: str | None, flags: int = 0) -> None:
        """Give a guest that is off another name."""
        only(flags, 0, "qemuDomainRename")
        if not name:
            raise InvalidArg("name must not be an empty string", domain=QEMU)
        if "/" in name:
            raise XMLError(f"name {name} cannot contain '/'", domain=c.VIR_FROM_DOMAIN)
        async with self.job.hold("rename"):
            if self.active:
                raise OperationInvalid("cannot rename active domain", domain=QEMU)
            if self.config is None:
                raise OperationInvalid("cannot rename a transient domain", domain=QEMU)
            if name == self.name:
                raise OperationFailed("Can't rename domain to itself", domain=QEMU)
            if self.driver.guests.by_name(name) is not None:
                raise DomainExists(f"domain with name '{name}' already exists", domain=QEMU)
            if await self.has_managed_save():
                raise OperationInvalid("domain with a managed saved state can't be renamed", domain=QEMU)
            renamed = self.config.copy()
            renamed.name = name
            self.driver.folder.rename(self.name, name, renamed.to_xml(inactive=True, secure=True))
            self.driver.guests.rename(self.whole, self.name, name)
            old, self.name, self.config = self.name, name, renamed
        self._tell_as(old, c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED)
        self.tell(c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_RENAMED)

    def _tell_as(self, name: str, event: int, detail: int) -> None:
        """Emit an event under the name that was."""
        now, self.name = self.name, name
        try:
            self.tell(event, detail)
        finally:
            self.name = now

    async def set_lifecycle_action(self, type: int, action: int, flags: int = 0) -> None:
        """What is done when the guest powers off, reboots or crashes."""
        fields = ("on_poweroff", "on_reboot", "on_crash")
        actions = ("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart")
        if not 0 <= type < len(fields):
            raise InvalidArg(f"Unsupported lifecycle type '{type}'", domain=QEMU)
        if not 0 <= action < len(actions) or (action > 3 and type != 2):
            raise InvalidArg(f"Unsupported lifecycle action '{action}'", domain=QEMU)
        async with self.job.hold("set_lifecycle_action"):
            live, config = self.impact(flags)
            if live is not None:
                if type == 1 and actions[action] != live.on_reboot:
                    command = {"reboot": "reset" if actions[action] == "restart" else "shutdown"}
                    await self.running().monitor.execute("set-action", command)
                setattr(live, fields[type], actions[action])
                self.record()
            if config is not None:
                changed = config.copy()
                setattr(changed, fields[type], actions[action])
                self.keep(changed)

    # ---- devices of the kept configuration

    async def attach_device(self, xml: str, flags: int = 0) -> None:
        """Add a device, at the next start."""
        async with self.job.hold("attach_device"):
            config = self._kept(flags, "attach")
            device, into = self._parse_device(xml)
            changed = config.copy()
            here = getattr(changed.devices, into)
            if isinstance(here, list):
                twin = self._same(here, device)
                if twin is not None:
                    raise OperationFailed(f"{_what(twin)} already exists", domain=QEMU)
                here.append(device)
            elif here is not None:
                raise OperationInvalid(f"domain already has a {device.TAG} device", domain=QEMU)
            else:
                setattr(changed.devices, into, device)
            await self._keep_complete(changed)

    async def detach_device(self, xml: str, flags: int = 0) -> None:
        """Remove a device, from the next start on."""
        async with self.job.hold("detach_device"):
            config = self._kept(flags, "detach")
            device, into = self._parse_device(xml)
            changed = config.copy()
            here = getattr(changed.devices, into)
            twin = self._same(here if isinstance(here, list) else [here], device)
            if twin is None:
                raise DeviceMissing(f"no device matching {_what(device)} in the configuration", domain=QEMU)
            if isinstance(here, list):
                here.remove(twin)
            else:
                setattr(changed.devices, into, None)
            await self._keep_complete(changed)

    async def update_device(self, xml: str, flags: int = 0) -> None:
        """Put a device in the place of the one that it names."""
        async with self.job.hold("update_device"):
            config = self._kept(flags, "update")
            device, into = self._parse_device(xml)
            changed = config.copy()
            here = getattr(changed.devices, into)
            twin = self._same(here if isinstance(here, list) else [here], device)
            if twin is None:
                raise DeviceMissing(f"no device matching {_what(device)} in the configuration", domain=QEMU)
            if isinstance(device, Device) and isinstance(twin, Device) and device.address is None:
                device.address = twin.address
            if isinstance(here, list):
                here[here.index(twin)] = device
            else:
                setattr(changed.devices, into, device)
            await self._keep_complete(changed)

    async def detach_device_alias(self, alias: str, flags: int = 0) -> None:
        """Remove the device of that alias, from the next start on."""
        async with self.job.hold("detach_device_alias"):
            changed = self._kept(flags, "detach").copy()
            for name, value in list(changed.devices.__dict__.items()):
                inside = value if isinstance(value, list) else [value]
                for device in inside:
                    if isinstance(device, Device) and device.alias == alias:
                        inside.remove(device) if isinstance(value, list) else setattr(changed.devices, name, None)
                        await self._keep_complete(changed)
                        return
            raise DeviceMissing(f"no device with alias '{alias}' found", domain=QEMU)

    def _kept(self, flags: int, verb: str) -> DomainXML:
        live, config = self.impact(flags)
        if live is not None:
            raise OperationUnsupported(f"cannot {verb} devices of a running domain; use --config", domain=QEMU)
        assert config is not None
        return config

    def _parse_device(self, xml: str) -> tuple[Element, str]:
        """A device, and the field of `<devices>` that takes it."""
        shell = DomainXML.from_xml(f"<domain type='qemu'><name>x</name><devices>{_body(xml)}</devices></domain>")
        for name, value in shell.devices.__dict__.items():
            found = value if isinstance(value, list) else [value]
            if found and isinstance(found[0], Element):
                return found[0], name
        raise XMLError("unknown device type", domain=c.VIR_FROM_DOMAIN)

    def _same(self, among: list[Element], device: Element) -> Element | None:
        """The device that another one speaks of: by target, MAC, alias or address, else by being equal."""
        for twin in among:
            if type(twin) is not type(device) and twin is not None and twin.TAG != device.TAG:
                continue
            for field in ("target", "target_dev", "dev", "mac", "mac_address"):
                own = getattr(device, field, None)
                if own is not None and own == getattr(twin, field, None):
                    return twin
        return next((twin for twin in among if twin is not None and _alike(twin, device)), None)

    async def _keep_complete(self, changed: DomainXML) -> None:
        from .prepare import prepare

        prepare(changed, await self.driver.capabilities_of(changed), nvram=str(self.driver.places.nvram))
        self.keep(changed)


def _alike(twin: Element, device: Element) -> bool:
    """Whether a device says nothing that its twin contradicts."""
    said = {name: value for name, value in device.__dict__.items() if value not in (None, [], False)}
    return twin.TAG == device.TAG and all(getattr(twin, name, None) == value for name, value in said.items())


def _what(device: Element) -> str:
    target = getattr(device, "target_dev", None) or getattr(device, "alias", None)
    return f"{device.TAG} '{target}'" if target else device.TAG


def _body(xml: str) -> str:
    """A device's document without its XML declaration."""
    text = xml.strip()
    return text.partition("?>")[2] if text.startswith("<?xml") else text
