"""libvirt-python gives applications what it gives them of libvirtd, as recorded; what differs is listed with why."""

import json
import subprocess
from pathlib import Path

import pytest
from support import virshtable
from support.qemu import needs_qemu
from support.virtqemud import running

DIFFERS = {
    "getMaxVcpus": "libvirtd tells of its own limit of 16 for TCG, here it is what QEMU's usual machine takes",
    "defineXML malformed": "expat's words; the part is the XML reader's",
}


def binding() -> bool:
    """Whether the machine's own Python has libvirt's binding."""
    try:
        return not subprocess.run([virshtable.SYSTEM_PYTHON, "-c", "import libvirt"], check=False).returncode
    except OSError:
        return False


pytestmark = [needs_qemu, pytest.mark.skipif(not binding(), reason="needs python3-libvirt")]


@pytest.mark.long
def test_applications_are_told_what_libvirtd_tells_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("files")
    with running(root) as uri:
        made = virshtable.applications(uri, Path(folder))
    expected = json.loads(virshtable.TOLD.read_text())
    assert [name for name, _ in made] == [name for name, _ in expected]
    differs = {name for (name, ours), (_, theirs) in zip(made, expected, strict=True) if ours != theirs}
    assert differs <= DIFFERS.keys(), [each for each in zip(made, expected, strict=True) if each[0] != each[1]]
