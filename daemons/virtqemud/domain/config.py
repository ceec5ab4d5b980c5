"""What is kept of a guest: undefining, renaming, what its end leads to."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    ConfigUnsupported,
    DomainExists,
    InvalidArg,
    OperationInvalid,
)
from splitvirt.store.files import remove_durable
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.domain import check_name
from virtqemud.flags import only

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
        check_name(name)
        async with self.job.hold("rename"):
            if self.active:
                raise OperationInvalid("cannot rename active domain", domain=QEMU)
            if self.config is None:
                raise OperationInvalid("cannot rename a transient domain", domain=QEMU)
            if name == self.name:
                raise OperationInvalid("Can't rename domain to itself", domain=QEMU)
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
        if not 0 <= action < len(actions):
            raise InvalidArg(f"Unsupported lifecycle action '{action}'", domain=QEMU)
        if action > 3 and type != 2:
            words = f"Lifecycle event '{fields[type][3:]}' doesn't support '{actions[action]}' action"
            raise ConfigUnsupported(words, domain=QEMU)
        async with self.job.hold("set_lifecycle_action"):
            live, config = self.impact(flags)
            if live is not None and type == 1 and actions[action] != live.on_reboot:
                command = {"reboot": "reset" if actions[action] == "restart" else "shutdown"}
                await self.running().monitor.execute("set-action", command)
            self.note(live, config, lambda on: setattr(on, fields[type], actions[action]))
