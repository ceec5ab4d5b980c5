"""qemu.conf on the command line, as libvirtd 9.0 with the same file prints it."""

import os
from pathlib import Path
from typing import Any

from support.argvcaps import command, values
from support.argvguest import guest

from virtqemud.argv.settings import command_settings

VNC = "<graphics type='vnc'/>"
DISK = """<disk type='network' device='disk'><driver name='qemu' type='raw'/>
  <source protocol='gluster' name='v/i'><host name='h'/></source><target dev='vda' bus='virtio'/></disk>"""


def made(config: dict[str, Any], devices: str = "") -> Any:
    return command(guest(devices=devices), settings=command_settings(config))


def test_what_is_not_configured_is_libvirt_s_default() -> None:
    plain = made({})
    assert values(plain, "-name") == ["guest=t,debug-threads=on"]
    assert values(plain, "-msg") == ["timestamp=on"]
    assert values(plain, "-compat") == []


def test_name_log_and_deprecation() -> None:
    found = made({"set_process_name": 1, "log_timestamp": 0, "deprecation_behavior": "reject"})
    assert values(found, "-name") == ["guest=t,process=qemu:t,debug-threads=on"]
    assert values(found, "-msg") == []
    assert values(found, "-compat") == ["deprecated-output=hide,deprecated-input=reject"]


def test_gluster_s_messages_and_where_sasl_looks() -> None:
    assert '"debug":7' in made({"gluster_debug_level": 7}, DISK).text()
    asked = {"vnc_sasl": 1, "vnc_sasl_dir": "/etc/sasl2x"}
    assert made(asked, VNC).env["SASL_CONF_PATH"] == "/etc/sasl2x"
    assert "SASL_CONF_PATH" not in made(asked | {"vnc_sasl": 0}, VNC).env


def test_ports_and_limits() -> None:
    found = command_settings({"remote_display_port_min": 5950, "remote_websocket_port_max": 5800, "max_files": 99})
    assert (found.display_ports, found.websocket_ports) == (range(5950, 65536), range(5700, 5801))
    assert found.limits == {"RLIMIT_NOFILE": 99}
    assert command_settings({"max_core": "unlimited", "max_processes": 0}).limits == {"RLIMIT_CORE": -1}


def test_huge_pages_where_the_file_says(tmp_path: Path) -> None:
    page = os.statvfs(tmp_path).f_bsize >> 10
    assert command_settings({"hugetlbfs_mount": str(tmp_path)}).hugetlbfs == [(str(tmp_path), page)]
    assert command_settings({"hugetlbfs_mount": [str(tmp_path), "/gone"]}).hugetlbfs == [(str(tmp_path), page)]
    assert command_settings({"hugetlbfs_mount": ""}).hugetlbfs == []
