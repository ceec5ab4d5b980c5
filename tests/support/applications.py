"""Calls of libvirt-python as applications make them (Nova, virt-manager, Cockpit, virt-install, exporters).

`/usr/bin/python3 applications.py URI FOLDER` runs them in order and prints a JSON list of [name, outcome]. It runs in
Debian's own Python, which has the binding, so it imports nothing of ours.
"""

import json
import os
import re
import sys
import time
import xml.etree.ElementTree as ET
from typing import Any

import libvirt  # the system Python has it

UUID = "6a1a4b8e-8d58-4bd6-a1b1-7d2f1a0c9b21"
OUT: list[list[Any]] = []
HEARD: list[str] = []
URI, FOLDER = sys.argv[1:3]


def xml(name: str, uuid: str, extra: str = "") -> str:
    return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<vcpu current='1'>2</vcpu><os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><boot dev='hd'/></os>
<features><acpi/></features><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{FOLDER}/d.img'/>
<target dev='vda' bus='virtio'/></disk>
<interface type='user'><mac address='52:54:00:11:22:44'/><model type='virtio'/></interface>
<serial type='pty'/><console type='pty'/><video><model type='vga'/></video>{extra}</devices></domain>"""


def ask(name: str, call: Any) -> Any:
    """Note what a call gives, or its error's code, part and words."""
    try:
        value = call()
    except libvirt.libvirtError as error:
        text = error.get_error_message()
        OUT.append([name, {"error": error.get_error_code(), "from": error.get_error_domain(), "text": text}])
        return None
    OUT.append([name, shape(value)])
    return value


def shape(value: Any) -> Any:
    """A value as JSON, numbers of time and place masked by the caller where they vary."""
    if isinstance(value, libvirt.virDomain):
        return f"domain {value.name()}"
    if isinstance(value, dict):
        return {str(key): shape(each) for key, each in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (list, tuple)):
        return [shape(each) for each in value]
    return value if isinstance(value, (int, str, float, bool, type(None))) else type(value).__name__


def keys(value: Any) -> Any:
    """Names without values."""
    return sorted({re.sub(r"\d+", "N", str(key)) for key in value})


def tags(text: str) -> list[str]:
    """The elements of a document, each once."""
    return sorted({each.tag for each in ET.fromstring(text).iter()})


def heard(*about: Any) -> None:
    HEARD.append("/".join([str(about[-1]), *(str(v) for v in about[2:-1] if isinstance(v, (int, str)))]))


def pump(quiet: float) -> None:
    """Let the default event loop run until nothing has been heard for so many seconds."""
    libvirt.virEventAddTimeout(50, lambda *_: None, None)
    heard, until = len(HEARD), time.monotonic() + quiet
    while time.monotonic() < until:
        libvirt.virEventRunDefaultImpl()
        if len(HEARD) != heard:
            heard, until = len(HEARD), time.monotonic() + quiet


def main() -> None:
    with open(f"{FOLDER}/d.img", "wb") as image:
        image.truncate(1 << 20)
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    conn = libvirt.open(URI)
    host(conn)
    for number in range(27):
        ask(f"event {number}", lambda n=number: conn.domainEventRegisterAny(None, n, heard, n) >= 0)
    dom = kept(conn)
    started(conn, dom)
    ended(conn, dom)
    pump(1.0)
    OUT.append(["events", [each for each in HEARD if not each.startswith(("13/", "1"))]])
    conn.close()
    print(json.dumps(OUT))


def host(conn: Any) -> None:
    ask("getType", conn.getType)
    ask("getLibVersion", lambda: conn.getLibVersion() // 1_000_000)
    ask("getVersion", conn.getVersion)
    ask("isAlive", conn.isAlive)
    ask("isEncrypted", conn.isEncrypted)
    ask("isSecure", conn.isSecure)
    ask("getHostname", conn.getHostname)
    ask("getInfo", lambda: [type(each).__name__ for each in conn.getInfo()])
    ask("getMaxVcpus", lambda: conn.getMaxVcpus("qemu"))
    ask("getCPUMap", conn.getCPUMap)
    ask("getCPUStats", lambda: keys(conn.getCPUStats(-1)))
    ask("getMemoryStats", lambda: keys(conn.getMemoryStats(-1)))
    ask("getFreeMemory", lambda: conn.getFreeMemory() > 0)
    ask("getCapabilities", lambda: {"host", "guest", "cpu", "topology", "machine"} <= set(tags(conn.getCapabilities())))
    ask("domcaps devices", lambda: sorted(
        each.tag for each in ET.fromstring(conn.getDomainCapabilities(None, None, "q35", "qemu")).iterfind("devices/*")
    ))  # fmt: skip
    ask("getDomainCapabilities odd", lambda: conn.getDomainCapabilities(None, "x86_64", "nosuch", "qemu"))
    ask("listAllDomains", conn.listAllDomains)
    ask("lookupByName", lambda: conn.lookupByName("nosuch"))
    ask("lookupByUUIDString", lambda: conn.lookupByUUIDString(UUID))
    ask("lookupByID", lambda: conn.lookupByID(99))
    ask("defineXML malformed", lambda: conn.defineXML("<domain"))
    ask("createXML without name", lambda: conn.createXML("<domain type='qemu'/>"))
    ask("defineXMLFlags", lambda: conn.defineXMLFlags("<domain/>", 1 << 20))


def kept(conn: Any) -> Any:
    dom = ask("defineXML", lambda: conn.defineXML(xml("app", UUID)))
    for name in ("isActive", "isPersistent", "isUpdated", "hasManagedSaveImage", "hasCurrentSnapshot", "autostart"):
        ask(name, getattr(dom, name))
    ask("state", dom.state)
    ask("info", dom.info)
    ask("ID", dom.ID)
    ask("OSType", dom.OSType)
    ask("maxMemory", dom.maxMemory)
    ask("maxVcpus", dom.maxVcpus)
    ask(
        "XMLDesc",
        lambda: dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE).replace(FOLDER, "DIR"),
    )
    ask("setMetadata", lambda: dom.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<n><name>x</name></n>", "nova", "http://openstack.org/xmlns/1", 2
    ))  # fmt: skip
    ask("metadata", lambda: dom.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "http://openstack.org/xmlns/1"))
    ask("metadata none", lambda: dom.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "http://nosuch"))
    ask("setAutostart", lambda: dom.setAutostart(1))
    ask("setVcpusFlags", lambda: dom.setVcpusFlags(2, libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("vcpusFlags", lambda: dom.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("setMemoryFlags", lambda: dom.setMemoryFlags(65536, libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("blockInfo off", lambda: dom.blockInfo("vda")[0])
    ask("blockStats off", lambda: dom.blockStats("vda"))
    ask("memoryStats off", dom.memoryStats)
    ask("schedulerParameters", dom.schedulerParameters)
    ask("memoryParameters", lambda: dom.memoryParameters(libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("blkioParameters", lambda: dom.blkioParameters(libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("numaParameters", lambda: dom.numaParameters(libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    ask("attachDeviceFlags", lambda: dom.attachDeviceFlags("<rng model='virtio'><backend model='random'/></rng>", 2))
    ask("snapshotListNames", dom.snapshotListNames)
    ask("migrateSetMaxDowntime", lambda: dom.migrateSetMaxDowntime(100))
    ask("listAllDomains inactive", lambda: conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE))
    ask("listAllDomains running", lambda: conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING))
    ask("listDefinedDomains", conn.listDefinedDomains)
    ask("numOfDomains", conn.numOfDomains)
    ask("rename", lambda: dom.rename("app2"))
    ask("rename back", lambda: conn.lookupByName("app2").rename("app"))
    return conn.lookupByName("app")


def started(conn: Any, dom: Any) -> None:
    ask("createWithFlags", lambda: dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED))
    ask("createXML again", lambda: conn.createXML(xml("app", UUID)))
    ask("createXML clash", lambda: conn.createXML(xml("app", UUID[:-1] + "9")))
    ask("state paused", dom.state)
    ask("resume", dom.resume)
    ask("state running", dom.state)
    ask("suspend", dom.suspend)
    ask("listDomainsID", lambda: len(conn.listDomainsID()))
    ask("listAllDomains paused", lambda: conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED))
    ask("controlInfo", lambda: dom.controlInfo()[:2])
    ask("info live", lambda: dom.info()[:4])
    ask("vcpus", lambda: [len(each) for each in dom.vcpus()])
    ask("vcpuPinInfo", dom.vcpuPinInfo)
    ask("emulatorPinInfo", dom.emulatorPinInfo)
    ask("memoryStats", lambda: keys(dom.memoryStats()))
    ask("blockInfo", lambda: dom.blockInfo("vda")[0])
    ask("blockStats", lambda: len(dom.blockStats("vda")))
    ask("blockStatsFlags", lambda: keys(dom.blockStatsFlags("vda")))
    ask("interfaceStats", lambda: dom.interfaceStats("nosuch"))
    ask("getCPUStats", lambda: keys(dom.getCPUStats(True)[0]))
    for source in range(3):
        ask(f"interfaceAddresses {source}", lambda s=source: dom.interfaceAddresses(s) if s != 2 else {})
    ask("getAllDomainStats", lambda: [keys(each[1]) for each in conn.getAllDomainStats()])
    ask(
        "domainListGetStats",
        lambda: [keys(each[1]) for each in conn.domainListGetStats([dom], libvirt.VIR_DOMAIN_STATS_STATE)],
    )
    ask("jobInfo", dom.jobInfo)
    ask("jobStats", dom.jobStats)
    ask("abortJob", dom.abortJob)
    ask("hostname", dom.hostname)
    ask("getTime", dom.getTime)
    ask("fsInfo", dom.fsInfo)
    ask("guestInfo", lambda: dom.guestInfo(0))
    ask("guestVcpus", dom.guestVcpus)
    ask("sendKey", lambda: dom.sendKey(0, 10, [30], 1, 0))
    ask("blockIoTune", lambda: dom.blockIoTune("vda"))
    ask("ioThreadInfo", dom.ioThreadInfo)
    ask("perfEvents", lambda: keys(dom.perfEvents()))
    ask("screenshot", lambda: screenshot(conn, dom))
    ask("openConsole", lambda: console(conn, dom))
    ask("openConsole odd", lambda: dom.openConsole("nosuch", conn.newStream(), 0))
    ask("attachDevice", lambda: dom.attachDevice("<rng model='virtio'><backend model='random'/></rng>"))
    ask(
        "detachDevice odd",
        lambda: dom.detachDevice("<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"),
    )
    ask("blockResize", lambda: dom.blockResize("vda", 2048))
    ask("blockJobInfo", lambda: dom.blockJobInfo("vda"))
    ask("migrateMaxDowntime", dom.migrateGetMaxDowntime)
    ask("setUserPassword", lambda: dom.setUserPassword("a", "b"))
    ask("reset", dom.reset)


def screenshot(conn: Any, dom: Any) -> str:
    stream = conn.newStream()
    kind = dom.screenshot(stream, 0)
    begin = stream.recv(2)
    stream.abort()
    return f"{kind} {begin!r}"


def console(conn: Any, dom: Any) -> str:
    stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
    dom.openConsole(None, stream, 0)
    second = conn.newStream()
    try:
        dom.openConsole(None, second, 0)
    except libvirt.libvirtError as error:
        return f"busy {error.get_error_code()} {error.get_error_message()}"
    finally:
        stream.abort()
    return "both"


def ended(conn: Any, dom: Any) -> None:
    ask("undefine running", dom.undefine)
    ask("isPersistent", dom.isPersistent)
    ask("destroyFlags", lambda: dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL))
    ask("destroy again", dom.destroy)
    ask("info gone", dom.info)
    temporary = ask("createXML", lambda: conn.createXML(xml("app", UUID), libvirt.VIR_DOMAIN_START_PAUSED))
    ask("createXML flags", lambda: conn.createXML(xml("app3", UUID[:-1] + "8"), 1 << 20))
    ask("setAutostart transient", lambda: temporary.setAutostart(1))
    ask("destroy", temporary.destroy)
    ask("listAllDomains end", conn.listAllDomains)


if __name__ == "__main__":
    os.umask(0o077)
    main()
