"""What the real virt-admin makes of the admin contract."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.canned import canned

from splitvirt.access.rules import Access
from splitvirt.api.admin import Admin, Client, LogFilters, LogOutputs, Server
from splitvirt.api.params import TypedParam as P
from splitvirt.rpc.server import Server as Serving

ANSWERS: dict[str, Any] = {
    "Admin.lib_version": 9000000,
    "Admin.servers": lambda root: [root.kinds[Server]],
    "Admin.server_by_name": lambda root: root.kinds[Server],
    "Admin.log_outputs": LogOutputs("1:journald", 1),
    "Admin.log_filters": LogFilters(None, 0),
    "Server.threadpool": [P.uint("minWorkers", 1), P.uint("maxWorkers", 5)],
    "Server.clients": lambda root: [root.kinds[Client]],
    "Server.client_by_id": lambda root: root.kinds[Client],
    "Server.client_limits": [P.uint("nclients_max", 5), P.uint("nclients", 1)],
    "Client.info": [P.boolean("readonly", False), P.int_("unix_user_id", 7), P.string("unix_user_name", "me")],
}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Any, str]]:
    """A daemon's admin interface behind a socket, and its URI."""
    if shutil.which("virt-admin") is None:
        pytest.skip("virt-admin is not installed")
    root = canned(Admin, ANSWERS)
    server = root.one(Server, name="virtqemud")
    root.one(Client, server=server, id=3, timestamp=1700000000, transport=0)
    serving = Serving({Admin: root}, access=Access("QEMU"))
    await serving.listen(tmp_path / "sock", admin=True)
    yield root, f"virtqemud:///system?socket={tmp_path / 'sock'}"
    await serving.close(drain=1)


@pytest.mark.parametrize(
    ("command", "asked", "words"),
    [
        ("srv-list", ("Admin.servers", 0), "virtqemud"),
        ("srv-threadpool-info virtqemud", ("Server.threadpool", 0), "minWorkers : 1 maxWorkers : 5"),
        ("srv-threadpool-set virtqemud --max-workers 9",
         ("Server.set_threadpool", [P.uint("maxWorkers", 9)], 0), ""),
        ("srv-clients-info virtqemud", ("Server.client_limits", 0), "nclients_max : 5 nclients : 1"),
        ("srv-clients-set virtqemud --max-clients 9", ("Server.set_client_limits", [P.uint("nclients_max", 9)], 0), ""),
        ("client-list virtqemud", ("Server.clients", 0), "3 unix 2023-11-14 22:13:20+0000"),
        ("client-info virtqemud 3", ("Client.info", 0), "readonly : no unix_user_id : 7 unix_user_name : me"),
        ("client-disconnect virtqemud 3", ("Client.close", 0), "Client '3' disconnected"),
        ("daemon-log-outputs", ("Admin.log_outputs", 0), "Logging outputs: 1:journald"),
        ("daemon-log-filters", ("Admin.log_filters", 0), "Logging filters:"),
        ("daemon-log-filters --filters 1:qemu", ("Admin.set_log_filters", "1:qemu", 0), ""),
        ("daemon-timeout --timeout 5", ("Admin.set_timeout", 5, 0), ""),
    ],
)  # fmt: skip
async def test_virt_admin(served: tuple[Any, str], command: str, asked: tuple[Any, ...], words: str) -> None:
    root, uri = served
    process = await asyncio.create_subprocess_exec(
        "virt-admin", "-c", uri, *command.split(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    assert words in " ".join(out.decode().split())
    assert root.asked[-1] == asked
