"""The real virsh says of virtqemud what it says of libvirtd, as recorded; what differs is listed with its reason."""

import shutil

import pytest
from support import virshtable
from support.qemu import needs_qemu
from support.virtqemud import running

UNSUPPORTED = "this function is not supported by the connection driver"
OTHER_WORDS = "the first query asks for the count alone; over the wire both are one call, and it is checked at once"
WELL_FORMED = "expat finds an unclosed element where the text ends, libxml2 where it begins; the error is the same"
DIFFERS = {
    "nodecpustats 77": (1, "Invalid cpuNum in virHostCPUGetStatsLinux", OTHER_WORDS),
    "blkiotune g --live": (1, "domain is not running", OTHER_WORDS),
    "domiftune g nosuch": (1, "'nosuch' is not a known interface", OTHER_WORDS),
    "define {dir}/notxml.xml": (1, "(domain_definition):1: ", WELL_FORMED),
    "create {dir}/notxml.xml": (1, "(domain_definition):1: ", WELL_FORMED),
    "domxml-to-native qemu-argv {dir}/notxml.xml": (1, "(domain_definition):1: ", WELL_FORMED),
    "attach-device g {dir}/notxml.xml --config": (1, "(device_definition):1: ", WELL_FORMED),
    "attach-device g {dir}/notxml.xml --live": (1, "(device_definition):1: ", WELL_FORMED),
    "metadata g http://example.org/x --set '<a' --key k --config": (1, "(metadata_xml):1: ", WELL_FORMED),
    "define {dir}/odd.xml --validate": (1, "failed to validate against schema", "our model is the schema"),
    "domstats g": (0, "balloon.maximum", "libvirtd counts the time of process 0 for a guest that is off"),
    "domifaddr g --source arp": (0, "MAC address", "libvirtd cannot read the neighbours of an empty network namespace"),
    "dumpxml g": (
        0, "<name>rng0</name>|<alias name='rng0'/>",
        "libvirtd shows its cgroup, its labels, the CPU as QEMU made it, and vCPUs one by one once one was plugged in",
    ),
    "cpu-baseline {dir}/cpu.xml": (1, UNSUPPORTED, "no database of CPU models"),
    "hypervisor-cpu-compare --virttype qemu --machine pc {dir}/cpu.xml": (1, UNSUPPORTED, "no database of CPU models"),
    "hypervisor-cpu-compare --virttype qemu --machine pc --error {dir}/cpu-odd.xml": (
        1, UNSUPPORTED, "no database of CPU models",
    ),
    "hypervisor-cpu-baseline --virttype qemu --machine pc {dir}/cpu.xml": (1, "", "no database of CPU models"),
    "restore {dir}/nosuch": (1, UNSUPPORTED, "memory is not saved yet"),
    "save-image-dumpxml {dir}/nosuch": (1, UNSUPPORTED, "memory is not saved yet"),
    "blockcommit g vda --active": (1, UNSUPPORTED, "images are not merged yet"),
    "blockcopy g vda {dir}/copy": (1, UNSUPPORTED, "images are not copied yet"),
    "dom-fd-associate g nosuch 0": (1, UNSUPPORTED, "images by descriptor are not taken yet"),
}  # fmt: skip
"""Exit status, a part of the output (one of several, by "|"), and why."""

pytestmark = [needs_qemu, pytest.mark.skipif(not shutil.which("virsh"), reason="needs virsh (libvirt-clients)")]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_virsh_says_what_it_says_of_libvirtd(tmp_path_factory: pytest.TempPathFactory) -> None:
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("files")
    with running(root) as uri:
        made = virshtable.run(uri, folder)
    expected, wrong = virshtable.load(), []
    for row in virshtable.rows():
        status, output = expected[f"{row.number} {row.command}"]
        ours = made[row.number]
        if ours == (status, output) or _excused(row.command, ours):
            continue
        wrong.append(f"{row.number} {row.command}\nlibvirtd {status}: {output}\nvirtqemud {ours.status}: {ours.output}")
    assert not wrong, "\n\n".join(wrong)


def _excused(command: str, ours: virshtable.Outcome) -> bool:
    status, part, _why = DIFFERS.get(command, (None, "", ""))
    return ours.status == status and any(each in ours.output for each in part.split("|"))


def test_every_command_of_the_driver_is_in_the_table() -> None:
    import subprocess

    told = subprocess.run(["virsh", "help"], capture_output=True, text=True, check=True).stdout
    groups = {part.split("'")[1]: part for part in told.split("help keyword ")[1:]}
    wanted = {
        line.split()[0]
        for group in ("domain", "monitor", "events", "host")
        for line in groups[group].splitlines()[1:]
        if line.startswith("    ")
    }
    asked = {row.command.split()[0] for row in virshtable.rows()}
    interactive = {"edit", "managedsave-edit", "save-image-edit"}  # they open an editor over dumpxml and define
    elsewhere = {"nodesuspend"}  # would suspend this machine where it is allowed to
    rare = {"set-user-sshkeys", "domsetlaunchsecstate", "save-image-define"}
    assert wanted - asked - interactive - elsewhere == rare


def test_what_differs_is_still_asked() -> None:
    assert not DIFFERS.keys() - {row.command for row in virshtable.rows()}


def test_expectations_match_the_table() -> None:
    assert list(virshtable.load()) == [f"{row.number} {row.command}" for row in virshtable.rows()]
