"""What libvirt's own client makes of our answers, and what reaches a driver of what it asks."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.canned import canned_hypervisor

from splitvirt.access.rules import Access
from splitvirt.api import constants as c
from splitvirt.api.domain import DomainStats
from splitvirt.api.domain_block import BlockInfo, BlockJobInfo, BlockStats, DiskError
from splitvirt.api.domain_device import InterfaceAddresses, InterfaceStats, IPAddress
from splitvirt.api.domain_guest import FSInfo, GuestTime
from splitvirt.api.domain_life import ControlInfo, DomainInfo, DomainState, JobInfo, JobStats, SecurityLabel
from splitvirt.api.domain_tune import IOThread, SchedulerType, Vcpu, VcpuInfo
from splitvirt.api.host import NodeInfo, SecurityModel
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.params import TypedParam as P
from splitvirt.rpc.server import Server

PYTHON = "/usr/bin/python3"
PARAMS = [
    P.int_("i", -5), P.uint("u", 5), P.llong("l", -(2**40)), P.ullong("ul", 2**63), P.double("d", 0.5),
    P.boolean("b", True), P.string("s", "text"),
]  # fmt: skip
SHOWN = "{'i': -5, 'u': 5, 'l': -1099511627776, 'ul': 9223372036854775808, 'd': 0.5, 'b': True, 's': 'text'}"
LIMITS = [P.ullong("cpu_shares", 7), P.llong("vcpu_quota", -1)]
MAP = [True, False, True, True]
NODE = NodeInfo("x86_64", 2**21, 4, 2400, 1, 1, 4, 1)

# an expression of libvirt-python, the call it becomes, its answer, what the expression is then
ROOT = [
    ("conn.getType()", "Hypervisor.type", "QEMU", "'QEMU'"),
    ("conn.getVersion()", "Hypervisor.version", 7002000, "7002000"),
    ("conn.getCapabilities()", "Hypervisor.capabilities", "<capabilities/>", "'<capabilities/>'"),
    ("conn.getMaxVcpus('kvm')", "Hypervisor.max_vcpus", 288, "288"),
    ("conn.getInfo()", "Hypervisor.node_info", NodeInfo("x86_64", 2**21, 8, 2400, 2, 1, 2, 2),
     "['x86_64', 2048, 8, 2400, 2, 1, 2, 2]"),
    ("conn.getFreeMemory()", "Hypervisor.free_memory", 2**40, "1099511627776"),
    ("conn.getCellsFreeMemory(0, 2)", "Hypervisor.cells_free_memory", [1, 2**33], "[1, 8589934592]"),
    ("conn.getFreePages([4, 2048], 0, 1)", "Hypervisor.free_pages", [10, 20], "{0: {4: 10, 2048: 20}}"),
    ("conn.getMemoryParameters()", "Hypervisor.node_memory_params", PARAMS, SHOWN),
    ("conn.getCPUStats(-1)", "Hypervisor.node_cpu_stats", {"user": 5, "idle": 6}, "{'user': 5, 'idle': 6}"),
    ("conn.getMemoryStats(-1)", "Hypervisor.node_memory_stats", {"total": 9}, "{'total': 9}"),
    ("conn.getCPUMap()", "Hypervisor.cpu_map", MAP, "(4, [True, False, True, True], 3)"),
    ("conn.getSecurityModel()", "Hypervisor.security_model", SecurityModel("selinux", "0"), "['selinux', '0']"),
    ("conn.getCPUModelNames('x86_64')", "Hypervisor.cpu_models", ["a", "b"], "['a', 'b']"),
    ("conn.baselineCPU(['<cpu/>'])", "Hypervisor.baseline_cpu", "<cpu/>", "'<cpu/>'"),
    ("conn.domainXMLToNative('qemu-argv', '<x/>')", "Hypervisor.xml_to_native", "qemu", "'qemu'"),
    ("[d.name() for d in conn.listAllDomains()]", "Hypervisor.domains", lambda root: [root.domain], "['demo']"),
    ("conn.listDomainsID()", "Hypervisor.domains", lambda root: [root.domain], "[7]"),
    ("conn.numOfDomains()", "Hypervisor.domains", lambda root: [root.domain], "1"),
    ("conn.listDefinedDomains()", "Hypervisor.domains", lambda root: [root.domain], "['demo']"),
    ("[(d.name(), p) for d, p in conn.getAllDomainStats()]", "Hypervisor.stats",
     lambda root: [DomainStats(root.domain, PARAMS)], f"[('demo', {SHOWN})]"),
    ("[p for _, p in conn.domainListGetStats([dom])]", "Hypervisor.stats",
     lambda root: [DomainStats(root.domain, PARAMS)], f"[{SHOWN}]"),
]  # fmt: skip
DOMAIN = [
    ("dom.info()", "info", DomainInfo(1, 2048, 1024, 2, 5 * 10**9), "[1, 2048, 1024, 2, 5000000000]"),
    ("dom.state()", "state", DomainState(1, 5), "[1, 5]"),
    ("dom.controlInfo()", "control_info", ControlInfo(0, 0, 7), "[0, 0, 7]"),
    ("dom.autostart()", "autostart", True, "1"),
    ("dom.isUpdated()", "is_updated", False, "0"),
    ("dom.securityLabel()", "security_label", SecurityLabel("label", True), "['label', True]"),
    ("dom.securityLabelList()", "security_labels", [SecurityLabel("l", False)], "[['l', False]]"),
    ("dom.maxMemory()", "max_memory", 4096, "4096"),
    ("dom.memoryStats()", "memory_stats", {6: 5, 7: 6}, "{'actual': 5, 'rss': 6}"),
    ("dom.memoryParameters()", "memory_params", PARAMS, SHOWN),
    ("dom.blkioParameters()", "blkio_params", PARAMS, SHOWN),
    ("dom.numaParameters()", "numa_params", PARAMS, SHOWN),
    ("dom.schedulerType()", "scheduler_type", SchedulerType("posix", 2), "('posix', 2)"),
    ("dom.perfEvents()", "perf_events", [P.boolean("cmt", True)], "{'cmt': True}"),
    ("dom.blockIoTune('vda')", "block_io_tune", PARAMS, SHOWN),
    ("dom.interfaceParameters('tap0')", "interface_params", PARAMS, SHOWN),
    ("dom.blockStatsFlags('vda')", "block_stats_params", PARAMS, SHOWN),
    ("dom.guestVcpus()", "guest_vcpus", PARAMS, SHOWN),
    ("dom.guestInfo()", "guest_info", PARAMS, SHOWN),
    ("dom.launchSecurityInfo()", "launch_security_info", PARAMS, SHOWN),
    ("dom.vcpusFlags()", "vcpu_count", 2, "2"),
    ("dom.maxVcpus()", "vcpu_count", 4, "4"),
    ("dom.emulatorPinInfo()", "emulator_pin", MAP, "(True, False, True, True)"),
    ("dom.ioThreadInfo()", "iothreads", [IOThread(1, MAP)], "[(1, [True, False, True, True])]"),
    ("dom.getCPUStats(True)", "cpu_stats", [[P.ullong("cpu_time", 5)]], "[{'cpu_time': 5}]"),
    ("dom.blockStats('vda')", "block_stats", BlockStats(1, 2, 3, 4, -1), "(1, 2, 3, 4, -1)"),
    ("dom.blockInfo('vda')", "block_info", BlockInfo(5, 2**40, 6), "[1099511627776, 5, 6]"),
    ("dom.blockJobInfo('vda')", "block_job_info", BlockJobInfo(2, 0, 5, 9),
     "{'type': 2, 'bandwidth': 0, 'cur': 5, 'end': 9}"),
    ("dom.blockJobInfo('vdb')", "block_job_info", BlockJobInfo(0, 0, 0, 0), "{}"),
    ("dom.blockPeek('vda', 0, 4)", "block_peek", b"\0\1\2\3", "b'\\x00\\x01\\x02\\x03'"),
    ("dom.diskErrors()", "disk_errors", [DiskError("vda", 2)], "{'vda': 2}"),
    ("dom.interfaceStats('tap0')", "interface_stats", InterfaceStats(1, 2, 3, 4, 5, 6, 7, -1),
     "(1, 2, 3, 4, 5, 6, 7, -1)"),
    ("dom.interfaceAddresses(0)", "interface_addresses",
     [InterfaceAddresses("tap0", None, [IPAddress(0, "10.0.0.2", 24)])],
     "{'tap0': {'addrs': [{'addr': '10.0.0.2', 'prefix': 24, 'type': 0}], 'hwaddr': None}}"),
    ("dom.getTime()", "time", GuestTime(5, 6), "{'seconds': 5, 'nseconds': 6}"),
    ("dom.fsInfo()", "fs_info", [FSInfo("/", "vda1", "ext4", ["vda"])], "[('/', 'vda1', 'ext4', ['vda'])]"),
    ("dom.fsFreeze()", "fs_freeze", 3, "3"),
    ("dom.jobInfo()", "job_info", JobInfo(*range(12)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"),
    ("dom.jobStats()", "job_stats", JobStats(1, [P.ullong("time_elapsed", 5)]), "{'time_elapsed': 5, 'type': 1}"),
    ("dom.metadata(0, None)", "metadata", "title", "'title'"),
    ("dom.messages()", "messages", ["old"], "['old']"),
    ("dom.authorizedSSHKeysGet('root')", "ssh_keys", ["ssh-rsa a"], "['ssh-rsa a']"),
    ("dom.snapshotNum()", "snapshots", [], "0"),
    ("dom.snapshotListNames()", "snapshots", [], "[]"),
    ("libvirt_qemu.qemuMonitorCommand(dom, 'info', 1)", "monitor_command", "answer", "'answer'"),
    ("libvirt_qemu.qemuAgentCommand(dom, '{}', 5, 0)", "agent_command", "{}", "'{}'"),
]  # fmt: skip
SETTING: list[tuple[str, tuple[Any, ...]]] = [
    ("dom.create()", ("create", 0)),
    ("dom.createWithFlags(1)", ("create", 1)),
    ("dom.destroy()", ("destroy", 0)),
    ("dom.shutdownFlags(2)", ("shutdown", 2)),
    ("dom.setAutostart(1)", ("set_autostart", True)),
    ("dom.setMemory(512)", ("set_memory", 512, c.VIR_DOMAIN_AFFECT_LIVE)),
    ("dom.setMaxMemory(1024)", ("set_memory", 1024, c.VIR_DOMAIN_MEM_MAXIMUM)),
    ("dom.setVcpus(2)", ("set_vcpus", 2, c.VIR_DOMAIN_AFFECT_LIVE)),
    ("dom.pinEmulator((True, False, True))", ("pin_emulator", [True, False, True, *[False] * 5], 0)),
    ("dom.attachDevice('<disk/>')", ("attach_device", "<disk/>", c.VIR_DOMAIN_AFFECT_LIVE)),
    ("dom.save('/tmp/x')", ("save", "/tmp/x", None, 0)),
    ("dom.coreDump('/tmp/x', 1)", ("core_dump", "/tmp/x", 0, 1)),
    ("dom.rename('new')", ("rename", "new", 0)),
    ("dom.setMetadata(1, 'text', None, None)", ("set_metadata", 1, "text", None, None, 0)),
    ("dom.sendKey(0, 100, [29, 56, 111], 3)", ("send_key", 0, 100, [29, 56, 111], 0)),
    ("dom.setTime({'seconds': 5, 'nseconds': 6})", ("set_time", 5, 6, 0)),
    ("dom.blockResize('vda', 2**33, 1)", ("block_resize", "vda", 2**33, 1)),
    ("dom.fSTrim(None, 5)", ("fs_trim", None, 5, 0)),
    ("dom.abortJob()", ("abort_job", 0)),
    ("dom.setBlockThreshold('vda', 2**40)", ("set_block_threshold", "vda", 2**40, 0)),
    ("dom.agentSetResponseTimeout(9)", ("set_agent_timeout", 9, 0)),
    ("dom.undefine()", ("undefine", 0)),
]
HEAD = """
import libvirt, libvirt_qemu, sys
libvirt.registerErrorHandler(lambda *a: None, None)
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName('demo')
"""


@pytest.fixture(autouse=True)
def _libvirt_python() -> None:
    if subprocess.run([PYTHON, "-c", "import libvirt_qemu"], capture_output=True, check=False).returncode:
        pytest.skip("python3-libvirt is not installed")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Any, str]]:
    """The hypervisor behind a socket, and its URI."""
    answers: dict[str, Any] = {"Hypervisor.cpu_map": MAP, "Hypervisor.node_info": NODE}
    answers |= {f"Hypervisor.domain_by_{key}": lambda root: root.domain for key in ("name", "uuid")}
    driver = canned_hypervisor(answers)
    server = Server({Hypervisor: driver}, access=Access("QEMU"))
    path = tmp_path / "sock"
    await server.listen(path)
    yield driver, f"qemu+unix:///system?socket={path}"
    await server.close(drain=1)


async def ask(uri: str, *lines: str) -> list[str]:
    script = HEAD + "\n".join(f"print(repr({line}))" for line in lines)
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-c", script, uri, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return out.decode().splitlines()


async def test_answers_of_the_hypervisor(served: tuple[Any, str]) -> None:
    driver, uri = served
    driver.answers |= {call: answer for _, call, answer, _ in ROOT}
    told = await ask(uri, *(line for line, *_ in ROOT))
    assert dict(zip([line for line, *_ in ROOT], told, strict=True)) == {line: wanted for line, _, _, wanted in ROOT}


async def test_answers_of_a_domain(served: tuple[Any, str]) -> None:
    driver, uri = served
    names = [call for _, call, _, _ in DOMAIN]
    driver.answers |= {f"Domain.{name}": _one_after_the_other(name) for name in names}
    told = await ask(uri, *(line for line, *_ in DOMAIN))
    assert dict(zip([line for line, *_ in DOMAIN], told, strict=True)) == {
        line: wanted for line, _, _, wanted in DOMAIN
    }


def _one_after_the_other(name: str) -> Any:
    """The answers of the table for one call, in its order; the last one stays, for clients that ask twice."""
    answers = [answer for _, call, answer, _ in DOMAIN if call == name]
    return lambda root: answers.pop(0) if len(answers) > 1 else answers[0]


async def test_what_reaches_the_driver(served: tuple[Any, str]) -> None:
    driver, uri = served
    await ask(uri, *(line for line, _ in SETTING))
    asked = [(call.removeprefix("Domain."), *given) for call, *given in driver.asked if call.startswith("Domain.")]
    assert asked == [wanted for _, wanted in SETTING]


async def test_processors(served: tuple[Any, str]) -> None:
    driver, uri = served
    driver.answers |= {
        "Domain.info": DomainInfo(1, 2048, 1024, 2, 5),
        "Domain.vcpu_count": 2,
        "Domain.vcpus": [Vcpu(VcpuInfo(0, 1, 5, 3), MAP), Vcpu(VcpuInfo(1, 1, 6, -1), [True])],
        "Domain.vcpu_pins": [MAP, [True]],
        "Domain.scheduler_type": SchedulerType("posix", 2),
        "Domain.scheduler_params": LIMITS,
    }
    lines = ("dom.vcpus()", "dom.vcpuPinInfo()", "dom.schedulerParameters()", "dom.pinVcpu(1, (False, True))")
    told = await ask(uri, *lines)
    assert told == [
        "([(0, 1, 5, 3), (1, 1, 6, -1)], [(True, False, True, True), (True, False, False, False)])",
        "[(True, False, True, True), (True, False, False, False)]",
        "{'cpu_shares': 7, 'vcpu_quota': -1}",
        "0",
    ]
    assert ("Domain.pin_vcpu", 1, [False, True, *[False] * 6], c.VIR_DOMAIN_AFFECT_LIVE) in driver.asked
