"""The in-memory hypervisor behind real sockets, and the real virsh."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.hypervisor import MemoryHypervisor

from splitvirt.access.rules import Access
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.rpc.forward import Routes
from splitvirt.rpc.server import Server


@dataclass
class Host:
    """A served hypervisor."""

    server: Server
    driver: MemoryHypervisor
    path: Path
    children: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def spawn(self, *argv: str, pass_fds: Sequence[int] = ()) -> asyncio.subprocess.Process:
        """A program with pipes; it is ended with the test."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            pass_fds=pass_fds,
        )  # fmt: skip
        self.children.append(process)
        return process

    async def end(self) -> None:
        """Kill and reap what still runs."""
        for process in self.children:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    @property
    def uri(self) -> str:
        """What virsh opens."""
        return f"qemu+unix:///system?socket={self.path}"

    async def virsh(self, *argv: str, status: int = 0, readonly: bool = False, seconds: float = 60) -> str:
        """What virsh says on both outputs; AssertionError when its exit status is another."""
        uri = f"{self.uri}-ro" if readonly else self.uri
        process = await self.spawn("virsh", "-c", uri, *(["-r"] if readonly else []), *argv)
        out, _ = await asyncio.wait_for(process.communicate(), seconds)
        assert process.returncode == status, out.decode()
        return out.decode()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A hypervisor with a stopped domain "one" and a running "two"."""
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed")
    driver = MemoryHypervisor()
    await driver.define("<domain type='qemu'>\n  <name>one</name>\n</domain>\n")
    await driver.create("<domain type='qemu'>\n  <name>two</name>\n</domain>\n")
    server = Server({Hypervisor: driver}, access=Access("QEMU"), uris=["qemu:///system"], routes=Routes({}))
    made = Host(server, driver, tmp_path / "sock")
    await server.listen(made.path)
    await server.listen(f"{made.path}-ro", readonly=True)
    yield made
    await made.end()
    driver.let_go.set()
    await server.close(drain=2)
