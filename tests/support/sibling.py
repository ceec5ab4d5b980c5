"""A storage daemon of one pool with one volume, in memory: what another daemon passes calls on to."""

import asyncio
from typing import Any
from uuid import UUID

from splitvirt.api.call import Object, call
from splitvirt.api.errors import NoStoragePool
from splitvirt.api.event import Hub, event
from splitvirt.api.stream import Stream
from splitvirt.api.types import U32, U64, Str, Uuid


class Pool(Object):
    """A storage pool."""

    KIND, XDR = "storage_pool", "remote_nonnull_storage_pool"
    name: Str
    uuid: Uuid

    def __init__(self) -> None:
        self.name, self.uuid = "pool", UUID(int=1)

    @event(rpc=373, id=0)
    def refreshed(self) -> None:
        """Its volumes were looked through."""


class Vol(Object):
    """A volume."""

    KIND, XDR = "storage_vol", "remote_nonnull_storage_vol"
    pool: Str
    name: Str
    key: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        return root.volume

    @call("virStorageVolUpload", rpc=208, acl="storage_vol:data_write", stream="in")
    async def upload(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        """Write it."""

    @call("virStorageVolDownload", rpc=209, acl="storage_vol:data_read", stream="out")
    async def download(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        """Read it."""


class Volumes:
    """The contract."""

    OBJECTS = (Pool, Vol)

    @call("virStoragePoolLookupByName", rpc=84, acl="storage_pool:getattr", high=True)
    async def pool_by_name(self, name: Str) -> Pool:
        """The pool of that name."""
        raise NotImplementedError


class Volume(Vol):
    """The volume."""

    def __init__(self, root: "VolumesDriver") -> None:
        self.root, self.pool, self.name, self.key = root, "pool", "vol", "/key"

    async def upload(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        self.root.keep(self._take(stream))

    async def _take(self, stream: Stream) -> None:
        self.root.content = b""
        while data := await stream.read():
            self.root.content += data
        await stream.finish()

    async def download(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        self.root.keep(self._give(stream))

    async def _give(self, stream: Stream) -> None:
        await stream.write(self.root.content)
        await stream.finish()


class VolumesDriver(Volumes):
    """The driver."""

    def __init__(self) -> None:
        self.events = Hub()
        self.pool, self.volume = Pool(), Volume(self)
        self.content = b""
        self.error: Exception | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def pool_by_name(self, name: Str) -> Pool:
        if name != "pool":
            raise NoStoragePool(f"no pool '{name}'")
        return self.pool

    def refresh(self) -> None:
        """Say that the pool was looked through."""
        self.events.emit(Pool.refreshed, self.pool)

    def keep(self, work: Any) -> None:
        """Pump a stream; how it failed is kept."""

        async def pump() -> None:
            try:
                await work
            except Exception as error:
                self.error = error

        task = asyncio.get_running_loop().create_task(pump())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
