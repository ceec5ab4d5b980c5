"""Virtual machines and containers."""

from typing import Annotated, Any

from .domain_block import BlockJobs, Disks
from .domain_device import Devices, Screen
from .domain_event import Events
from .domain_guest import Guest, Passthrough
from .domain_life import Lifecycle, Reading
from .domain_migrate import Departure
from .domain_save import Moments, Saving
from .domain_tune import Memory, Processors, Scheduling
from .errors import NoDomain
from .record import NamedObject, Object, Record
from .types import I32, ParamsAll, Str, Uuid


class Domain(
    Lifecycle, Reading, Memory, Processors, Scheduling, Devices, Screen, Disks, BlockJobs, Guest, Passthrough, Saving,
    Moments, Departure, Events, Object,
):  # fmt: skip
    """A virtual machine or a container. `id` is -1 while it does not run."""

    KIND, XDR, BUS = "domain", "remote_nonnull_domain", "org.libvirt.Domain"
    PROPS = {"Id": ("id", "u"), "Name": ("name", "s"), "UUID": ("uuid", "s")}
    name: Str
    uuid: Uuid
    id: I32

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The domain of that UUID."""
        try:
            return await root.domain_by_uuid(ref.uuid)
        except NoDomain as error:
            name = getattr(ref, "name", "")
            if not name:
                raise
            raise NoDomain(f"no domain with matching uuid '{ref.uuid}' ({name})", domain=error.domain) from None


class DomainStats(Record):
    """What the bulk statistics say of one domain."""

    domain: Annotated[Domain, NamedObject(Domain)]
    params: ParamsAll
