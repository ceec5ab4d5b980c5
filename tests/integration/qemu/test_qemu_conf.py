"""Keys of qemu.conf and virtqemud.conf, seen at a guest's process and by the real virsh."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.qemu import needs_qemu, qemus, tiny
from support.virtqemud import running

pytestmark = [needs_qemu, pytest.mark.skipif(not shutil.which("virsh"), reason="needs virsh (libvirt-clients)")]

HOST = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
QEMU_CONF = """
remote_display_port_min = 5953
remote_display_port_max = 5953
max_files = 777
max_core = "unlimited"
set_process_name = 1
log_timestamp = 0
"""


def test_what_the_files_say_holds(tmp_path: Path) -> None:
    etc = tmp_path / "etc/libvirt"
    etc.mkdir(parents=True)
    (etc / "qemu.conf").write_text(QEMU_CONF)
    (etc / "virtqemud.conf").write_text(f'host_uuid = "{HOST}"\n')
    for name in ("one", "two"):
        (tmp_path / f"{name}.xml").write_text(tiny(name, devices="<graphics type='vnc'/>"))
    with running(tmp_path) as uri:

        def virsh(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(["virsh", "-c", uri, *words], capture_output=True, text=True, timeout=60, check=False)

        assert f"<uuid>{HOST}</uuid>" in virsh("capabilities").stdout
        begun = virsh("create", str(tmp_path / "one.xml"))
        assert begun.returncode == 0, begun.stderr
        assert virsh("vncdisplay", "one").stdout.split() == ["127.0.0.1:53"]
        pid = next(pid for pid in qemus(tmp_path) if Path(f"/proc/{pid}/comm").read_text().startswith("qemu:"))
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        found = {line[:26].strip(): line[26:].split()[:2] for line in limits}
        assert found["Max open files"] == ["777", "777"]
        assert found["Max core file size"] == ["unlimited", "unlimited"]
        assert Path(f"/proc/{pid}/comm").read_text() == "qemu:one\n"
        refused = virsh("create", str(tmp_path / "two.xml"))
        assert "Unable to find an unused port in range 'vnc' (5953-5953)" in refused.stderr
