"""Networks inside an application: an ordinary user's, in a user and network namespace of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nethost import missing

NOBODY = 65534
PROGRAM = """
import asyncio, subprocess, sys
import splitvirt

NET = '''<network><name>inner</name><forward mode='nat'/><ip address='10.9.0.1' prefix='24'><dhcp>
<range start='10.9.0.2' end='10.9.0.99'/></dhcp></ip></network>'''

def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()

async def main():
    async with splitvirt.embed(sys.argv[1], driver="network") as networks:
        net = await networks.create(NET)
        print("uri", await networks.uri())
        print("server", net.server.pid, flush=True)
        if sys.argv[2] == "wait":
            await asyncio.sleep(60)
        uri = await networks.expose(read_only=False)
        print("virsh", (await asyncio.to_thread(run, "virsh", "-q", "-c", uri, "net-list")).split()[:2])
        print("bridge", run("ip", "-br", "addr", "show", "virbr0").split()[2:3])
        print("rules", "masquerade" in run("nft", "list", "ruleset"))
    print("after", run("ip", "-br", "link", "show", "type", "bridge"), run("nft", "list", "ruleset"))

asyncio.run(main())
"""


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    made = Path(tempfile.mkdtemp(prefix="emb-"))
    os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made)


def start(folder: Path, how: str) -> "subprocess.Popen[str]":
    """The application, as nobody, in namespaces of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HOME": str(folder)}
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    argv = [*user, "unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", PROGRAM]
    argv += [str(folder / "root"), how]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=folder)


def test_an_ordinary_user_has_whole_networks(folder: Path) -> None:
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed")
    process = start(folder, "through")
    out, err = process.communicate(timeout=120)
    if "unshare failed" in err:
        pytest.skip(f"user namespaces are not allowed here: {err.strip()}")
    assert process.returncode == 0, err
    said = dict(line.split(" ", 1) for line in out.splitlines())
    assert said["uri"] == f"network:///embed?root={folder}/root"
    assert said["virsh"] == "['inner', 'active']"
    assert said["bridge"] == "['10.9.0.1/24']"
    assert said["rules"] == "True"
    assert said["after"].strip() == ""
    assert not alive(int(said["server"]))
    assert not list(folder.glob("root/run/libvirt/network/*.pid.*"))


def test_a_killed_application_leaves_no_server(folder: Path) -> None:
    process = start(folder, "wait")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        words = process.stdout.readline().split()
        if not words:
            pytest.skip(f"user namespaces are not allowed here: {process.communicate(timeout=10)[1]}")
        server = int(words[1])
        assert alive(server)
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while alive(server):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate(timeout=10)


def alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
