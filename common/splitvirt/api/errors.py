"""The one error type that crosses every boundary, with libvirt's numbers, and small subclasses by meaning.

A subclass puts libvirt's own words for its code before the detail, as people's scripts expect them:
`NoDomain("no domain with matching name 'x'")` reads "Domain not found: no domain with matching name 'x'".
"""

from typing import ClassVar

from . import constants as c


class VirtError(Exception):
    """A failed call: libvirt's `code` (VIR_ERR_*), the part that failed as `domain` (VIR_FROM_*), and the `message`."""

    KINDS: ClassVar[dict[int, type["VirtError"]]] = {}

    def __init__(self, code: int, domain: int, message: str) -> None:
        super().__init__(message)
        self.code, self.domain, self.message = code, domain, message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return VirtError.of, (self.code, self.domain, self.message)

    @classmethod
    def of(cls, code: int, domain: int, message: str) -> "VirtError":
        """The error of that code with a whole message (one that came from another process), in its own class."""
        made = Exception.__new__(cls.KINDS.get(code, VirtError))
        VirtError.__init__(made, code, domain, message)
        return made


class Kind(VirtError):
    """An error of one code; `prefix` are libvirt's words for it, said alone when there is no detail."""

    CODE: ClassVar[int]
    FROM: ClassVar[int]
    PREFIX: ClassVar[str]

    def __init__(self, detail: str = "", *, domain: int | None = None) -> None:
        message = f"{self.PREFIX}: {detail}" if detail and self.PREFIX else detail or self.PREFIX
        super().__init__(self.CODE, self.FROM if domain is None else domain, message)

    def __init_subclass__(cls, *, code: int = 0, prefix: str | None = None, domain: int | None = None) -> None:
        if code:
            cls.CODE = code
            VirtError.KINDS.setdefault(code, cls)
        if prefix is not None:
            cls.PREFIX = prefix
        if domain is not None:
            cls.FROM = domain

    PREFIX, FROM = "", c.VIR_FROM_NONE


class InternalError(Kind, code=c.VIR_ERR_INTERNAL_ERROR, prefix="internal error"):
    """A fault of ours, or of a helper that broke its promises."""


class OutOfMemory(Kind, code=c.VIR_ERR_NO_MEMORY, prefix="out of memory"):
    """The host has no memory left for it."""


class NoSupport(Kind, code=c.VIR_ERR_NO_SUPPORT, prefix="this function is not supported by the connection driver"):
    """The driver does not have this call."""


class NoConnect(Kind, code=c.VIR_ERR_NO_CONNECT, prefix="no connection driver available"):
    """No driver answers for that URI."""


class InvalidConnection(Kind, code=c.VIR_ERR_INVALID_CONN, prefix="invalid connection pointer in"):
    """The connection is closed, or not of the kind that the call needs."""


class InvalidDomain(Kind, code=c.VIR_ERR_INVALID_DOMAIN, prefix="invalid domain pointer in"):
    """What was given is not a domain of this connection."""


class InvalidArg(Kind, code=c.VIR_ERR_INVALID_ARG, prefix="invalid argument"):
    """An argument has no meaning, or not this value."""


class OperationFailed(Kind, code=c.VIR_ERR_OPERATION_FAILED, prefix="operation failed"):
    """It was tried and did not work."""


class DomainExists(OperationFailed):
    """A domain of that name or UUID is there already; libvirt reports it as a failed operation (9)."""


class XMLError(Kind, code=c.VIR_ERR_XML_ERROR, prefix="XML error", domain=c.VIR_FROM_DOMAIN):
    """The XML is well-formed, and says something that it may not."""


class XMLDetail(Kind, code=c.VIR_ERR_XML_DETAIL, prefix="", domain=c.VIR_FROM_XML):
    """The XML is not well-formed, or does not have the shape of its format: line, column and what was met."""


class XMLSchema(
    Kind,
    code=c.VIR_ERR_XML_INVALID_SCHEMA,
    prefix="XML document failed to validate against schema",
    domain=c.VIR_FROM_XML,
):
    """The XML was to be validated, and holds what the format does not know."""


class OperationDenied(Kind, code=c.VIR_ERR_OPERATION_DENIED, prefix="operation forbidden"):
    """A read-only connection asked for a change."""


class SystemError_(Kind, code=c.VIR_ERR_SYSTEM_ERROR, prefix=""):
    """The operating system refused: what was tried, and its words."""


class RPCError(Kind, code=c.VIR_ERR_RPC, prefix="", domain=c.VIR_FROM_RPC):
    """What came over the wire cannot be read, or what should go cannot be written."""


class NoDomain(Kind, code=c.VIR_ERR_NO_DOMAIN, prefix="Domain not found"):
    """No such domain."""


class NoNetwork(Kind, code=c.VIR_ERR_NO_NETWORK, prefix="Network not found", domain=c.VIR_FROM_NETWORK):
    """No such network."""


class NetworkExists(OperationFailed):
    """A network of that name or UUID is there already; libvirt reports it as a failed operation (9)."""


class NoNetworkPort(Kind, code=c.VIR_ERR_NO_NETWORK_PORT, prefix="network port not found", domain=c.VIR_FROM_NETWORK):
    """No such port on the network."""


class NetworkPortExists(Kind, code=c.VIR_ERR_NETWORK_PORT_EXIST, domain=c.VIR_FROM_NETWORK):
    """A port of that UUID is on the network already."""


class NoStoragePool(Kind, code=c.VIR_ERR_NO_STORAGE_POOL, prefix="Storage pool not found", domain=c.VIR_FROM_STORAGE):
    """No such storage pool."""


class NoStorageVol(Kind, code=c.VIR_ERR_NO_STORAGE_VOL, prefix="Storage volume not found", domain=c.VIR_FROM_STORAGE):
    """No such storage volume."""


class StorageVolExists(
    Kind, code=c.VIR_ERR_STORAGE_VOL_EXIST, prefix="this storage volume exists already", domain=c.VIR_FROM_STORAGE
):
    """A volume of that name is in the pool already."""


class NoNodeDevice(Kind, code=c.VIR_ERR_NO_NODE_DEVICE, prefix="Node device not found", domain=c.VIR_FROM_NODEDEV):
    """No such device on the host."""


class NoInterface(Kind, code=c.VIR_ERR_NO_INTERFACE, prefix="Interface not found", domain=c.VIR_FROM_INTERFACE):
    """No such interface of the host."""


class NoSecret(Kind, code=c.VIR_ERR_NO_SECRET, prefix="Secret not found", domain=c.VIR_FROM_SECRET):
    """No such secret, or it has no value."""


class NoNWFilter(Kind, code=c.VIR_ERR_NO_NWFILTER, prefix="Network filter not found", domain=c.VIR_FROM_NWFILTER):
    """No such network filter."""


class NoNWFilterBinding(
    Kind,
    code=c.VIR_ERR_NO_NWFILTER_BINDING,
    prefix="Network filter binding not found",
    domain=c.VIR_FROM_NWFILTER,
):
    """No filter is bound to that port."""


class NoDomainSnapshot(
    Kind, code=c.VIR_ERR_NO_DOMAIN_SNAPSHOT, prefix="Domain snapshot not found", domain=c.VIR_FROM_DOMAIN_SNAPSHOT
):
    """The domain has no such snapshot."""


class NoDomainCheckpoint(
    Kind,
    code=c.VIR_ERR_NO_DOMAIN_CHECKPOINT,
    prefix="Domain checkpoint not found",
    domain=c.VIR_FROM_DOMAIN_CHECKPOINT,
):
    """The domain has no such checkpoint."""


class NoDomainBackup(Kind, code=c.VIR_ERR_NO_DOMAIN_BACKUP, prefix="Domain backup job id not found"):
    """The domain has no backup job."""


class NoMetadata(Kind, code=c.VIR_ERR_NO_DOMAIN_METADATA, prefix="metadata not found"):
    """The object has no such title, description or metadata element."""


class NoServer(Kind, code=c.VIR_ERR_NO_SERVER, prefix="Server not found", domain=c.VIR_FROM_ADMIN):
    """The daemon has no server of that name."""


class NoClient(Kind, code=c.VIR_ERR_NO_CLIENT, prefix="Client not found", domain=c.VIR_FROM_ADMIN):
    """The server has no client of that number."""


class AuthFailed(Kind, code=c.VIR_ERR_AUTH_FAILED, prefix="authentication failed", domain=c.VIR_FROM_AUTH):
    """The caller did not prove who it is."""


class AuthCancelled(Kind, code=c.VIR_ERR_AUTH_CANCELLED, prefix="authentication cancelled", domain=c.VIR_FROM_AUTH):
    """The person asked to authenticate declined."""


class AuthUnavailable(
    Kind, code=c.VIR_ERR_AUTH_UNAVAILABLE, prefix="authentication unavailable", domain=c.VIR_FROM_POLKIT
):
    """Nobody is there who could ask for a password."""


class AccessDenied(Kind, code=c.VIR_ERR_ACCESS_DENIED, prefix="access denied", domain=c.VIR_FROM_ACCESS):
    """The caller may not do that to this object."""


class OperationInvalid(Kind, code=c.VIR_ERR_OPERATION_INVALID, prefix="Requested operation is not valid"):
    """Not in the state that the object is in."""


class OperationUnsupported(Kind, code=c.VIR_ERR_OPERATION_UNSUPPORTED, prefix="Operation not supported"):
    """The driver has the call, and not for this object or this variant."""


class ArgumentUnsupported(Kind, code=c.VIR_ERR_ARGUMENT_UNSUPPORTED, prefix="argument unsupported"):
    """The argument is legal, and this driver cannot do it."""


class ConfigUnsupported(Kind, code=c.VIR_ERR_CONFIG_UNSUPPORTED, prefix="unsupported configuration"):
    """The configuration is legal, and this host, emulator or version cannot do it."""


class Timeout(Kind, code=c.VIR_ERR_OPERATION_TIMEOUT, prefix="Timed out during operation"):
    """It did not end in the time given."""


class OperationAborted(Kind, code=c.VIR_ERR_OPERATION_ABORTED, prefix="operation aborted"):
    """Somebody ended it before it was done."""


class ResourceBusy(Kind, code=c.VIR_ERR_RESOURCE_BUSY, prefix="resource busy"):
    """Somebody else holds it."""


class AgentUnresponsive(Kind, code=c.VIR_ERR_AGENT_UNRESPONSIVE, prefix="Guest agent is not responding"):
    """The agent in the guest does not answer."""


class CPUIncompatible(
    Kind, code=c.VIR_ERR_CPU_INCOMPATIBLE, prefix="the CPU is incompatible with host CPU", domain=c.VIR_FROM_CPU
):
    """The host cannot give the guest that CPU."""


class DeviceMissing(Kind, code=c.VIR_ERR_DEVICE_MISSING, prefix="device not found"):
    """The object has no such device."""


class Overflow(Kind, code=c.VIR_ERR_OVERFLOW, prefix="numerical overflow"):
    """A number is too large for what should hold it."""


class ServiceError(Kind, code=c.VIR_ERR_DBUS_SERVICE, prefix="error from service", domain=c.VIR_FROM_DBUS):
    """A service on the bus answered with an error."""
