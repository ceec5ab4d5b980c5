"""The machine as arguments: memory, CPUs, clock, firmware, and what every start has."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.argvcaps import command, values
from support.argvguest import guest

from splitvirt.api.errors import VirtError
from virtqemud.argv.context import Settings


def memory(document: str, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(v) for v in values(command(document, **more), "-object") if "memory-backend" in v]


def test_every_start_is_closed_up() -> None:
    made = command(guest(), native=False)
    assert {"-nodefaults", "-no-user-config", "-S"} <= set(made.argv)
    assert values(made, "-sandbox") == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    assert len(made.needs.files["/lib/domain--1-t/master-key.aes"]) == 32


def test_printing_needs_nothing_made() -> None:
    made = command(guest())
    assert made.needs.files == {}
    assert made.env["HOME"] == "/lib/domain--1-t"


def test_long_names_are_cut_in_paths_only() -> None:
    made = command(guest(name="a" * 30 + ",b"))
    assert values(made, "-name") == ["guest=" + "a" * 30 + ",,b,debug-threads=on"]
    assert "path=/lib/domain--1-" + "a" * 20 + "/monitor.sock" in values(made, "-chardev")[0]


def test_memory_is_rounded_up_to_whole_mib() -> None:
    document = guest().replace("<memory unit='MiB'>64</memory>", "<memory unit='KiB'>65000</memory>")
    assert values(command(document), "-m") == ["64"]
    assert memory(document) == [{"qom-type": "memory-backend-ram", "id": "pc.ram", "size": 64 << 20}]


@pytest.mark.parametrize(
    ("backing", "expected"),
    [
        ("<source type='memfd'/><access mode='shared'/>", {"qom-type": "memory-backend-memfd", "share": True}),
        ("<source type='file'/>", {"qom-type": "memory-backend-file", "mem-path": "/lib/ram/-1-t/pc.ram"}),
        ("<access mode='private'/>", {"qom-type": "memory-backend-file", "share": False}),
        ("<allocation mode='immediate' threads='2'/>", {"prealloc": True, "prealloc-threads": 2}),
        ("<source type='file'/><discard/>", {"discard-data": True}),
    ],
)
def test_backing(backing: str, expected: dict[str, Any]) -> None:
    (found,) = memory(guest(top=f"<memoryBacking>{backing}</memoryBacking>"))
    assert expected.items() <= found.items()


def test_hugepages_need_a_mount() -> None:
    document = guest(top="<memoryBacking><hugepages/></memoryBacking>")
    with pytest.raises(VirtError, match="hugetlbfs filesystem is not mounted"):
        command(document)
    (found,) = memory(document, settings=Settings(hugetlbfs=[("/dev/hugepages", 2048)]))
    assert (found["mem-path"], found["prealloc"]) == ("/dev/hugepages/libvirt/qemu/-1-t", True)


def test_nodes_that_the_host_lacks() -> None:
    document = guest(cpu="<numatune><memory mode='strict' nodeset='0-1'/></numatune>")
    with pytest.raises(VirtError, match="NUMA node 1 is unavailable"):
        command(document, host_nodes=frozenset({0}))
    (found,) = memory(document, host_nodes=frozenset({0, 1}))
    assert (found["host-nodes"], found["policy"]) == ([0, 1], "bind")


def test_distances_are_mirrored() -> None:
    cells = "".join(
        f"<cell id='{i}' cpus='{i}' memory='32' unit='MiB'>" + (
            "<distances><sibling id='1' value='30'/></distances>" if not i else ""
        ) + "</cell>"
        for i in range(2)
    )  # fmt: skip
    made = command(guest(vcpus=">2", cpu=f"<cpu><numa>{cells}</numa></cpu>"))
    assert [v for v in values(made, "-numa") if v.startswith("dist")] == [
        "dist,src=0,dst=0,val=10", "dist,src=0,dst=1,val=30", "dist,src=1,dst=0,val=30", "dist,src=1,dst=1,val=10",
    ]  # fmt: skip


def test_cpu_features_that_libvirt_dropped_from_a_model_are_off() -> None:
    cpu = "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>Icelake-Server</model></cpu>"
    assert values(command(guest(cpu=cpu)), "-cpu") == ["Icelake-Server,intel-pt=off"]


@pytest.mark.parametrize(
    ("cpu", "words"),
    [
        ("<model>nonsense</model>", "Unknown CPU model nonsense"),
        ("<model>Haswell</model><feature name='nonsense' policy='require'/>", "unknown CPU feature: nonsense"),
    ],
)
def test_cpu_names_must_be_known(cpu: str, words: str) -> None:
    with pytest.raises(VirtError, match=words):
        command(guest(cpu=f"<cpu mode='custom' match='exact' check='none'>{cpu}</cpu>"))


def test_hyperv_and_timers() -> None:
    made = command(
        guest(
            features="<hyperv mode='custom'><relaxed state='on'/><vapic state='off'/>"
            "<spinlocks state='on' retries='4096'/></hyperv><kvm><hidden state='on'/></kvm>",
            cpu="<cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>"
            "<clock offset='utc'><timer name='kvmclock' present='no'/><timer name='hpet' present='no'/></clock>",
        )
    )
    assert values(made, "-cpu") == ["qemu64,kvmclock=off,hv-relaxed=on,hv-spinlocks=0x1000,kvm=off"]
    assert "-no-hpet" in made.argv


def test_clock_of_a_moment() -> None:
    made = command(guest(cpu="<clock offset='absolute' start='0'/>"))
    assert values(made, "-rtc") == ["base=1970-01-01T00:00:00"]
    assert command(guest(cpu="<clock offset='timezone' timezone='Europe/Oslo'/>")).env["TZ"] == "Europe/Oslo"


def descriptor(folder: Path, name: str, code: str, *features: str, machines: str = "pc-*") -> None:
    about = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": code, "format": "raw"},
            "nvram-template": {"filename": f"{code}.vars", "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": [machines]}],
        "features": list(features),
        "tags": [],
    }
    (folder / name).write_text(json.dumps(about))


@pytest.fixture
def firmware(tmp_path: Path) -> Settings:
    descriptor(
        tmp_path, "10-secure.json", "/secure", "secure-boot", "requires-smm", "enrolled-keys", machines="pc-q35-*"
    )
    descriptor(tmp_path, "20-plain.json", "/plain", "acpi-s3")
    (tmp_path / "30-broken.json").write_text("{")
    return Settings(firmware_folders=(str(tmp_path),))


def efi(machine: str, more: str = "") -> str:
    return guest(os=f"<type arch='x86_64' machine='{machine}'>hvm</type>{more}").replace("<os>", "<os firmware='efi'>")


def test_firmware_is_the_first_that_fits(firmware: Settings) -> None:
    made = command(efi("q35"), settings=firmware)
    assert "smm=on" in values(made, "-machine")[0]
    assert "driver=cfi.pflash01,property=secure,value=on" in values(made, "-global")
    files = [json.loads(v).get("filename") for v in values(made, "-blockdev")]
    assert files == ["/secure", None, "/lib/nvram/t_VARS.fd", None]


def test_firmware_by_what_it_must_not_have(firmware: Settings) -> None:
    asked = "<firmware><feature enabled='no' name='secure-boot'/></firmware>"
    made = command(efi("q35", asked), settings=firmware)
    assert json.loads(values(made, "-blockdev")[0])["filename"] == "/plain"
    assert json.loads(values(command(efi("pc"), settings=firmware), "-blockdev")[0])["filename"] == "/plain"


def test_no_firmware_fits(firmware: Settings) -> None:
    asked = "<firmware><feature enabled='yes' name='secure-boot'/></firmware>"
    with pytest.raises(VirtError, match="Unable to find any firmware to satisfy 'efi'"):
        command(efi("pc", asked), settings=firmware)


def test_memory_in_a_file_is_the_guests_own_at_a_start() -> None:
    document = guest(top="<memoryBacking><source type='file'/></memoryBacking>")
    made = command(document, native=False, id=3)
    assert '"mem-path":"/lib/domain-3-t/ram/pc.ram"' in made.text()
    assert made.needs.folders == ["/lib/domain-3-t/ram"]
    made = command(document, native=False, id=3, settings=Settings(memory_backing_dir="/big"))
    assert made.needs.folders == ["/big/3-t"]


def test_folder_for_hugepages_is_made() -> None:
    document = guest(top="<memoryBacking><hugepages/></memoryBacking>")
    made = command(document, native=False, id=3, settings=Settings(hugetlbfs=[("/huge", 2048)]))
    assert made.needs.folders == ["/huge/libvirt/qemu/3-t"]
