# mypy: disable-error-code="empty-body"
"""Storage pools and the volumes in them."""

from collections.abc import Sequence
from typing import Annotated, Any

from . import constants as c
from .call import Older, call
from .event import event
from .host import Connection
from .record import NamedObject, Object, Record
from .shape import Length, Listing, Names
from .stream import Stream
from .types import I32, U32, U64, Bool, OptStr, PoolState, Str, Uuid, VolType


class PoolInfo(Record):
    """A pool's state (VIR_STORAGE_POOL_*), and its size, what is used and what is free, in bytes."""

    MEANINGS = {"state": "VIR_STORAGE_POOL_"}
    state: PoolState
    capacity: U64
    allocation: U64
    available: U64


class VolInfo(Record):
    """A volume's type (VIR_STORAGE_VOL_*), what it can hold and what it takes, in bytes."""

    MEANINGS = {"type": "VIR_STORAGE_VOL_"}
    type: VolType
    capacity: U64
    allocation: U64


class Vol(Object):
    """A storage volume."""

    KIND, XDR, BUS = "storage_vol", "remote_nonnull_storage_vol", "org.libvirt.StorageVol"
    PROPS = {"Key": ("key", "s"), "Name": ("name", "s")}
    pool: Str
    name: Str
    key: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The volume of that key."""
        return await root.vol_by_key(ref.key)

    @call("virStoragePoolLookupByVolume", rpc=86, acl="storage_pool:getattr", high=True)
    async def pool_of(self) -> "Pool":
        """The pool that it is in."""

    @call("virStorageVolDelete", rpc=94, acl="storage_vol:delete", dbus="Delete")
    async def delete(self, flags: U32 = 0) -> None:
        """Delete it (VIR_STORAGE_VOL_DELETE_*)."""

    @call(
        "virStorageVolGetInfoFlags",
        rpc=378,
        acl="storage_vol:read",
        high=True,
        dbus="GetInfo",
        older=[Older(98, flags=0)],
    )
    async def info(self, flags: U32 = 0) -> VolInfo:
        """Its type and sizes (VIR_STORAGE_VOL_GET_PHYSICAL: what the host's file has)."""

    @call("virStorageVolGetXMLDesc", rpc=99, acl="storage_vol:read", high=True, dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description."""

    @call("virStorageVolGetPath", rpc=100, acl="storage_vol:read", high=True, prop="Path")
    async def path(self) -> Str:
        """Where it is on the host."""

    @call(
        "virStorageVolUpload",
        rpc=208,
        acl="storage_vol:data_write",
        stream="in",
        sparse=c.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM,
    )
    async def upload(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        """Write a stream to it, at `offset`, at most `length` bytes (0: all)."""

    @call(
        "virStorageVolDownload",
        rpc=209,
        acl="storage_vol:data_read",
        stream="out",
        sparse=c.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM,
    )
    async def download(self, offset: U64, length: U64, flags: U32, stream: Stream) -> None:
        """Send it down a stream, from `offset` on, at most `length` bytes (0: all)."""

    @call("virStorageVolWipePattern", rpc=259, acl="storage_vol:format", dbus="Wipe", older=[Older(165, algorithm=0)])
    async def wipe(self, algorithm: U32 = 0, flags: U32 = 0) -> None:
        """Overwrite it (VIR_STORAGE_VOL_WIPE_ALG_*)."""

    @call("virStorageVolResize", rpc=260, acl="storage_vol:resize", dbus="Resize")
    async def resize(self, capacity: U64, flags: U32 = 0) -> None:
        """Make it hold so many bytes (VIR_STORAGE_VOL_RESIZE_*)."""


KeyedVol = Annotated[Vol, NamedObject(Vol, "key")]


class Pool(Object):
    """A storage pool."""

    KIND, XDR, BUS = "storage_pool", "remote_nonnull_storage_pool", "org.libvirt.StoragePool"
    PROPS = {"Name": ("name", "s"), "UUID": ("uuid", "s")}
    name: Str
    uuid: Uuid

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The pool of that UUID."""
        return await root.pool_by_uuid(ref.uuid)

    @call("virStoragePoolCreate", rpc=78, acl="storage_pool:start", dbus="Create")
    async def create(self, flags: U32 = 0) -> None:
        """Start a defined pool (VIR_STORAGE_POOL_CREATE_*)."""

    @call("virStoragePoolBuild", rpc=79, acl="storage_pool:format", dbus="Build")
    async def build(self, flags: U32 = 0) -> None:
        """Make the folder, volume group or file system under it (VIR_STORAGE_POOL_BUILD_*)."""

    @call("virStoragePoolDestroy", rpc=80, acl="storage_pool:stop", high=True, dbus="Destroy")
    async def destroy(self) -> None:
        """Stop it; its volumes stay."""

    @call("virStoragePoolDelete", rpc=81, acl="storage_pool:format", dbus="Delete")
    async def delete(self, flags: U32 = 0) -> None:
        """Delete what is under it (VIR_STORAGE_POOL_DELETE_*)."""

    @call("virStoragePoolUndefine", rpc=82, acl="storage_pool:delete", high=True, dbus="Undefine")
    async def undefine(self) -> None:
        """Forget its configuration."""

    @call("virStoragePoolRefresh", rpc=83, acl="storage_pool:refresh", dbus="Refresh")
    async def refresh(self, flags: U32 = 0) -> None:
        """Look again which volumes are in it."""

    @call("virStoragePoolGetInfo", rpc=87, acl="storage_pool:read", high=True, dbus="GetInfo")
    async def info(self) -> PoolInfo:
        """Its state and sizes."""

    @call("virStoragePoolGetXMLDesc", rpc=88, acl="storage_pool:read", high=True, dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its configuration (VIR_STORAGE_XML_INACTIVE: as it will be at the next start)."""

    @call("virStoragePoolGetAutostart", rpc=89, acl="storage_pool:read", high=True, prop="Autostart")
    async def autostart(self) -> Bool:
        """Whether it starts with the daemon."""

    @call("virStoragePoolSetAutostart", rpc=90, acl="storage_pool:write", high=True, prop="Autostart")
    async def set_autostart(self, autostart: Bool) -> None:
        """Have it start with the daemon, or not."""

    @call("virStoragePoolIsActive", rpc=154, acl="storage_pool:read", high=True, prop="Active")
    async def is_active(self) -> Bool:
        """Whether it is started."""

    @call("virStoragePoolIsPersistent", rpc=155, acl="storage_pool:read", high=True, prop="Persistent")
    async def is_persistent(self) -> Bool:
        """Whether its configuration outlives it."""

    @call(
        "virStoragePoolListAllVolumes",
        rpc=282,
        acl="storage_pool:search_storage_vols",
        filter="storage_vol:getattr",
        high=True,
        dbus="ListStorageVolumes",
        shape=Listing(),
        older=[
            Older(91, shape=Length(), flags=0),
            Older(92, shape=Names(), flags=0),
        ],
    )
    async def vols(self, flags: U32 = 0) -> Sequence[Vol]:
        """The volumes in it."""

    @call("virStorageVolLookupByName", rpc=95, acl="storage_vol:getattr", high=True, dbus="StorageVolLookupByName")
    async def vol_by_name(self, name: Str) -> Vol:
        """The volume of that name. NoStorageVol where there is none."""

    @call("virStorageVolCreateXML", rpc=93, acl="storage_vol:create", dbus="StorageVolCreateXML")
    async def create_vol(self, xml: Str, flags: U32 = 0) -> Vol:
        """Make a volume (VIR_STORAGE_VOL_CREATE_*)."""

    @call("virStorageVolCreateXMLFrom", rpc=125, acl="storage_vol:create", dbus="StorageVolCreateXMLFrom")
    async def create_vol_from(self, xml: Str, source: KeyedVol, flags: U32 = 0) -> Vol:
        """Make a volume as a copy of another."""

    @event(rpc=370, id=0, dbus="StoragePoolEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It was defined, undefined, started, stopped, built or deleted (VIR_STORAGE_POOL_EVENT_*)."""

    @event(rpc=373, id=1, dbus="Refresh")
    def refreshed(self) -> None:
        """Its volumes were looked at again."""


class Storage(Connection):
    """The storage of a host."""

    OBJECTS = (Pool, Vol)

    @call(
        "virStoragePoolDefineXML",
        rpc=77,
        acl=("storage_pool:write", "storage_pool:save"),
        high=True,
        dbus="StoragePoolDefineXML",
    )
    async def define(self, xml: Str, flags: U32 = 0) -> Pool:
        """Keep a pool's configuration, or change it, without starting it."""

    @call(
        "virStoragePoolCreateXML", rpc=76, acl=("storage_pool:start", "storage_pool:write"), dbus="StoragePoolCreateXML"
    )
    async def create(self, xml: Str, flags: U32 = 0) -> Pool:
        """Start a pool from XML, without keeping its configuration."""

    @call("virStoragePoolLookupByName", rpc=84, acl="storage_pool:getattr", high=True, dbus="StoragePoolLookupByName")
    async def pool_by_name(self, name: Str) -> Pool:
        """The pool of that name. NoStoragePool where there is none."""

    @call("virStoragePoolLookupByUUID", rpc=85, acl="storage_pool:getattr", high=True, dbus="StoragePoolLookupByUUID")
    async def pool_by_uuid(self, uuid: Uuid) -> Pool:
        """The pool of that UUID. NoStoragePool where there is none."""

    @call("virStoragePoolLookupByTargetPath", rpc=391, acl="storage_pool:getattr", high=True)
    async def pool_by_target_path(self, path: Str) -> Pool:
        """The pool that is at that path. NoStoragePool where there is none."""

    @call(
        "virConnectListAllStoragePools",
        rpc=281,
        acl="connect:search_storage_pools",
        filter="storage_pool:getattr",
        high=True,
        dbus="ListStoragePools",
        shape=Listing(),
        older=[
            Older(71, shape=Length(), flags=c.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE),
            Older(72, shape=Names(), flags=c.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE),
            Older(73, shape=Length(), flags=c.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE),
            Older(74, shape=Names(), flags=c.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE),
        ],
    )
    async def pools(self, flags: U32 = 0) -> Sequence[Pool]:
        """Its pools; VIR_CONNECT_LIST_STORAGE_POOLS_* say which, any of each group."""

    @call("virStorageVolLookupByKey", rpc=96, acl="storage_vol:getattr", high=True, dbus="StorageVolLookupByKey")
    async def vol_by_key(self, key: Str) -> Vol:
        """The volume of that key. NoStorageVol where there is none."""

    @call("virStorageVolLookupByPath", rpc=97, acl="storage_vol:getattr", high=True, dbus="StorageVolLookupByPath")
    async def vol_by_path(self, path: Str) -> Vol:
        """The volume at that path. NoStorageVol where there is none."""

    @call("virConnectFindStoragePoolSources", rpc=75, acl="connect:detect_storage_pools", dbus="FindStoragePoolSources")
    async def find_sources(self, type: Str, source: OptStr = None, flags: U32 = 0) -> Str:
        """Where pools of a type could be, as XML."""

    @call("virConnectGetStoragePoolCapabilities", rpc=403, acl="connect:read")
    async def pool_capabilities(self, flags: U32 = 0) -> Str:
        """Which types of pools there are, as XML."""
