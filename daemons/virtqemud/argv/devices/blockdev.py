"""Images as a graph of block nodes: `-blockdev`."""

import os
from base64 import b64encode
from grp import getgrnam
from pwd import getpwnam
from typing import Any
from urllib.parse import quote

from splitvirt.api.errors import ConfigUnsupported, InternalError, InvalidArg, NoStoragePool
from splitvirt.xml.devices.backingstore import BackingStore
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.encryption import Encryption
from splitvirt.xml.devices.source import (
    Auth,
    BlockSource,
    DirSource,
    FileSource,
    NetworkSource,
    NvmeSource,
    Source,
    VolumeSource,
)  # fmt: skip
from splitvirt.xml.units import decimal
from virtqemud.argv.cipher import BLOCK, encrypt
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

PORTS = {
    "nbd": 10809, "sheepdog": 7000, "gluster": 24007, "http": 80, "https": 443, "ftp": 21, "ftps": 990, "tftp": 69,
    "ssh": 22, "vxhs": 9999, "iscsi": 3260, "rbd": 0,
}  # fmt: skip
CACHES = {
    "none": {"direct": True, "no-flush": False},
    "directsync": {"direct": True, "no-flush": False},
    "writethrough": {"direct": False, "no-flush": False},
    "writeback": {"direct": False, "no-flush": False},
    "unsafe": {"direct": False, "no-flush": True},
}
"""What each cache mode says to block nodes; whether the guest sees a volatile cache is the device's `write-cache`."""


class Chain:
    """The images of one disk, numbered from the top; `parts` has their nodes, lowest first."""

    def __init__(self, disk: Disk, numbers: list[int], ctx: Context) -> None:
        self.disk, self.ctx, self.parts = disk, ctx, Parts()
        self.images = chain_of(disk)
        below: str | None = None
        terminated = ends(disk)
        for image, number in reversed(list(zip(self.images, numbers, strict=True))):
            top = image is disk
            below = self.image(image, number, below, terminated and image is self.images[-1], top)
        self.top = below or ""
        if disk.driver and disk.driver.copy_on_read:
            name = f"libvirt-CoR-{disk.target}"
            self.parts.json(
                "-blockdev", {"driver": "copy-on-read", "node-name": name, "file": self.top, "discard": "unmap"}
            )
            self.top = name

    def image(self, image: Any, number: int, backing: str | None, last: bool, top: bool) -> str:
        """The nodes of one image; the name of the uppermost."""
        source = image.source
        name = f"libvirt-{number}"
        storage = self.storage(source, name)
        self.parts.json("-blockdev", storage | {"node-name": f"{name}-storage"} | self.cache() | STORAGE_COMMON)
        file = f"{name}-storage"
        if source.slices and layout(image)[0] != "raw":
            file = self.slice(source, name, file)
        value = {"node-name": f"{name}-format", "read-only": (self.disk.readonly if top else True)}
        value |= self.cache() | self.discard(top=top) | self.format(image, name)
        if source.slices and value["driver"] == "raw":
            value |= {"offset": source.slices[0].offset, "size": source.slices[0].size}
        value["file"] = file
        text: dict[str, Any] = value
        if backing:
            if value["driver"] not in WITH_BACKING:
                raise ConfigUnsupported(f"storage format '{value['driver']}' does not support backing store")
            text["backing"] = backing
        self.parts.json("-blockdev", text) if not last else self.parts.add("-blockdev", ended(text))
        return f"{name}-format"

    def storage(self, source: Source, name: str) -> dict[str, Any]:
        """The node that knows where the bytes are."""
        aio = self.disk.driver.io if self.disk.driver else None
        match source:
            case FileSource():
                self.parts.paths.append(source.file or "")
                extra = self.reservations(source, name)
                return {"driver": "file", "filename": source.file, "aio": aio} | extra | self.locking()
            case BlockSource():
                self.parts.paths.append(source.dev or "")
                extra = self.reservations(source, name)
                return {"driver": "host_device", "filename": source.dev, "aio": aio} | extra | self.locking()
            case DirSource():
                floppy = self.disk.device == "floppy"
                return {"driver": "vvfat", "dir": source.dir, "floppy": floppy, "rw": False}
            case NvmeSource():
                return {"driver": "nvme", "device": str(source.address), "namespace": source.namespace}
            case NetworkSource():
                return network(source, name, self.disk, self.parts, self.ctx)
            case VolumeSource():
                if self.ctx.volumes is None:
                    raise NoStoragePool(f"no storage pool with matching name '{source.pool}'")
                return self.storage(self.ctx.volumes(source.pool or "", source.volume or ""), name)
        raise ConfigUnsupported("storage type is not supported as an image")

    def locking(self) -> dict[str, Any]:
        return {}

    def reservations(self, source: Source, name: str) -> dict[str, Any]:
        """The helper for SCSI persistent reservations."""
        found = source.reservations
        if found is None:
            return {}
        if found.managed:
            return {"pr-manager": "pr-helper0"}
        id = f"pr-helper-{name}-storage"
        self.parts.object("pr-manager-helper", id, path=found.path)
        return {"pr-manager": id}

    def slice(self, source: Source, name: str, file: str) -> str:
        """A node that shows a part of the storage."""
        part = source.slices[0]
        node = f"{name}-slice-sto"
        value = {"driver": "raw", "node-name": node, "offset": part.offset, "size": part.size, "file": file}
        self.parts.json("-blockdev", value | STORAGE_COMMON)
        return node

    def cache(self) -> dict[str, Any]:
        mode = cache_mode(self.disk)
        return {"cache": CACHES[mode]} if mode in CACHES else {}

    def discard(self, *, top: bool) -> dict[str, Any]:
        """What becomes of discarded blocks, and of zeroed ones, which only the top image is written."""
        driver = self.disk.driver
        if driver is None:
            return {}
        zeroes = driver.detect_zeroes
        if zeroes == "unmap" and driver.discard != "unmap":
            zeroes = "on"
        return {"discard": driver.discard, "detect-zeroes": zeroes if top else None}

    def format(self, image: Any, name: str) -> dict[str, Any]:
        """The node that knows how the bytes are laid out."""
        kind, cache = layout(image)
        about = image.source.encryption or (image.encryption if isinstance(image, Disk) else None)
        if about is not None and about.format == "luks" and kind == "raw" and not about.secrets:
            raise InternalError("missing secret info for 'luks' driver")
        encryption = image.source.encryption or (image.encryption if isinstance(image, Disk) else None)
        value: dict[str, Any] = {"driver": kind}
        if encryption is not None and encryption.secrets and encryption.engine != "librbd":
            key = self.secret(encryption, name)
            if kind == "raw" and encryption.format in ("luks", "default"):
                value = {"driver": "luks", "key-secret": key}
            else:
                form = "aes" if kind == "qcow" or encryption.format in ("default", "qcow") else "luks"
                value["encrypt"] = {"format": form, "key-secret": key}
        if cache:
            value["cache-size"] = cache
        return value

    def secret(self, encryption: Encryption, name: str) -> str | None:
        """The passphrase as an object; its id."""
        if not encryption.secrets:
            return None
        found = encryption.secrets[0]
        value = self.ctx.secret("volume", found.uuid, found.usage)
        return secret_object(self.parts, self.ctx, f"{name}-format-encryption-secret0", value)


def cache_mode(disk: Disk) -> str | None:
    """How the image is cached: not at all where others write to it too."""
    mode = disk.driver.cache if disk.driver else None
    if mode in (None, "default") and disk.shareable and not disk.readonly:
        return "none"
    return mode


WITH_BACKING = frozenset({"qcow", "qcow2", "qed", "vmdk"})
"""Formats of images that hold only what differs from another."""
STORAGE_COMMON = {"auto-read-only": True, "discard": "unmap"}


def ended(value: dict[str, Any]) -> str:
    """A node that certainly has nothing below it: "backing" is null, which `compact` would drop."""
    from virtqemud.argv.parts import compact

    return f'{compact(value)[:-1]},"backing":null}}'


def chain_of(disk: Disk) -> list[Any]:
    """The disk's own image and those below it, as far as they are known."""
    images: list[Any] = [disk]
    below: BackingStore | None = disk.backing
    while below is not None and below.type and below.source is not None:
        images.append(below)
        below = below.backing
    return images


def ends(disk: Disk) -> bool:
    """Whether the chain is known to end, by an empty `<backingStore/>`."""
    last = chain_of(disk)[-1]
    return last.backing is not None and last.backing.source is None and layout(last)[0] not in ("raw", "luks")


def layout(image: Any) -> tuple[str, int | None]:
    """An image's format and the size of the cache of its tables in bytes."""
    about = image.driver if isinstance(image, Disk) else image.format
    kind = (about.type if about else None) or "raw"
    cache = about.metadata_cache.max_size if about and about.metadata_cache else None
    return {"iso": "raw", "dir": "raw", "vhd": "vhdx", "fat": "raw", "none": "raw", "ploop": "parallels"}.get(
        kind, kind
    ), cache


def secret_object(parts: Parts, ctx: Context, id: str, value: bytes) -> str:
    """A secret, encrypted with the guest's master key; the object's id."""
    iv = os.urandom(BLOCK)
    data = encrypt(ctx.master_key, iv, value)
    parts.object("secret", id, data=data, keyid="masterKey0", iv=b64encode(iv).decode(), format="base64")
    return id


def authentication(parts: Parts, ctx: Context, auth: Auth | None, name: str, kind: str) -> str | None:
    """The password for a storage server as an object; its id."""
    if auth is None:
        return None
    value = ctx.secret(kind, auth.secret_uuid, auth.secret_usage)
    return secret_object(parts, ctx, f"{name}-storage-auth-secret0", value)


def network(source: NetworkSource, name: str, disk: Any, parts: Parts, ctx: Context) -> dict[str, Any]:
    """The node of a network protocol. Raises ConfigUnsupported where QEMU cannot."""
    auth = getattr(disk, "auth", None) or source.auth
    user = auth.username if auth else None
    match source.protocol:
        case "nbd":
            if len(source.hosts) != 1:
                raise InternalError("nbd protocol accepts only one host")
            return {"driver": "nbd", "server": server(source, 0), "export": source.name} | tls(source, name, parts, ctx)
        case "gluster":
            volume, _, path = (source.name or "").partition("/")
            servers = [server(source, i) for i in range(len(source.hosts))]
            return {"driver": "gluster", "volume": volume, "path": path, "server": servers,
                    "debug": ctx.settings.gluster_debug}  # fmt: skip
        case "iscsi":
            return iscsi(source.name, source.hosts[0], source.initiator, auth, name, parts, ctx)
        case "rbd":
            return rbd(source, auth, name, parts, ctx)
        case "http" | "https" | "ftp" | "ftps" | "tftp":
            return curl(source, auth, name, parts, ctx)
        case "ssh":
            at = source.hosts[0]
            return {
                "driver": "ssh", "path": source.name,
                "server": {"host": at.name, "port": str(at.port or PORTS["ssh"])}, "user": user,
            }  # fmt: skip
        case "nfs":
            at = source.hosts[0]
            return {
                "driver": "nfs", "server": {"host": at.name, "type": "inet"}, "path": source.name,
                "user": identity(source.identity_user, "user"), "group": identity(source.identity_group, "group"),
            }  # fmt: skip
        case "sheepdog":
            if len(source.hosts) != 1:
                raise InternalError("sheepdog protocol accepts only one host")
            return {"driver": "sheepdog", "server": server(source, 0), "vdi": source.name}
        case "vxhs":
            raise ConfigUnsupported("VxHS protocol is not supported with this QEMU binary")
    raise ConfigUnsupported(f"Unsupported network protocol '{source.protocol}'")


def identity(name: str | None, kind: str) -> int | None:
    """A uid or gid: "+107", "107", or the name of a user or group of this host; InvalidArg where there is none."""
    if not name or decimal(name.lstrip("+")):
        return int(name.lstrip("+")) if name else None
    try:
        return getpwnam(name).pw_uid if kind == "user" else getgrnam(name).gr_gid
    except KeyError:
        raise InvalidArg(f"Failed to parse {kind} '{name}'") from None


def server(source: NetworkSource, index: int) -> dict[str, Any]:
    """One host of a source as a SocketAddress."""
    if not source.hosts:
        return {"type": "inet", "host": "localhost", "port": str(PORTS[source.protocol])}
    at = source.hosts[index]
    if at.transport == "rdma":
        raise InternalError("transport protocol 'rdma' is not yet supported")
    if at.transport == "unix":
        return {"type": "unix", "path": at.socket}
    return {"type": "inet", "host": at.name, "port": str(at.port or PORTS.get(source.protocol, 0))}


def tls(source: NetworkSource, name: str, parts: Parts, ctx: Context) -> dict[str, Any]:
    """The credentials of an encrypted connection."""
    settings = ctx.settings
    if not (settings.nbd_tls if source.tls is None else source.tls):
        return {"tls-hostname": source.tls_hostname}
    id = f"obj{name}-storage_tls0"
    parts.object("tls-creds-x509", id, dir=settings.nbd_tls_dir, endpoint="client", verify_peer=True)
    return {"tls-creds": id, "tls-hostname": source.tls_hostname}


def iscsi(
    target: str | None,
    host: Any,
    initiator: str | None,
    auth: Auth | None,
    name: str,
    parts: Parts,
    ctx: Context,
    port: int = 3260,
) -> dict[str, Any]:
    """An iSCSI LUN: the target's name, with the LUN after a slash."""
    iqn, _, lun = (target or "").partition("/")
    if lun and not decimal(lun):
        raise InternalError(f"cannot parse target for lunStr '{iqn}'")
    portal = f"[{host.name}]" if ":" in (host.name or "") else host.name
    key = authentication(parts, ctx, auth, name, "iscsi")
    return {
        "driver": "iscsi", "portal": f"{portal}:{host.port or port}", "target": iqn,
        "lun": int(lun or 0), "transport": "iser" if host.transport == "rdma" else "tcp",
        "user": auth.username if auth else None, "password-secret": key, "initiator-name": initiator,
    }  # fmt: skip


def rbd(source: NetworkSource, auth: Auth | None, name: str, parts: Parts, ctx: Context) -> dict[str, Any]:
    """An image in a Ceph pool."""
    pool, _, image = (source.name or "").partition("/")
    key = authentication(parts, ctx, auth, name, "ceph")
    servers = [{"host": h.name, "port": str(h.port or 0)} for h in source.hosts]
    encrypt = None
    if source.encryption and source.encryption.engine == "librbd" and source.encryption.secrets:
        secret = source.encryption.secrets[0]
        value = ctx.secret("volume", secret.uuid, secret.usage)
        id = secret_object(parts, ctx, f"{name}-format-encryption-secret0", value)
        encrypt = {"format": source.encryption.format, "key-secret": id}
    return {
        "driver": "rbd", "pool": pool, "image": image, "snapshot": source.snapshot,
        "conf": source.config, "server": servers or None, "user": auth.username if auth else None,
        "auth-client-required": ["cephx", "none"] if auth else None, "key-secret": key, "encrypt": encrypt,
    }  # fmt: skip


PLAIN_IN_PATHS = "/;@&=+$,!*'()"
"""What a URL's path has as it is, as libxml2 writes one, besides letters, digits and -_.~."""


def curl(source: NetworkSource, auth: Auth | None, name: str, parts: Parts, ctx: Context) -> dict[str, Any]:
    """A file by URL."""
    if len(source.hosts) != 1:
        raise InternalError(f"protocol '{source.protocol}' accepts only one host")
    at = source.hosts[0]
    host = f"[{at.name}]" if ":" in (at.name or "") else at.name
    path = quote(source.name or "", safe=PLAIN_IN_PATHS)
    query = f"?{source.query}" if source.query else ""
    slash = "/" if path and not path.startswith("/") else ""
    url = f"{source.protocol}://{host}:{at.port or PORTS[source.protocol]}{slash}{path}{query}"
    key = authentication(parts, ctx, auth, name, "")
    cookies = None
    if source.cookies:
        text = "; ".join(f"{c.name}={c.value}" for c in source.cookies)
        cookies = secret_object(parts, ctx, f"{name}-storage-httpcookie-secret0", text.encode())
    return {
        "driver": source.protocol, "url": url, "username": auth.username if auth else None, "password-secret": key,
        "sslverify": source.ssl_verify, "cookie-secret": cookies, "timeout": source.timeout or None,
        "readahead": source.readahead or None,
    }  # fmt: skip
