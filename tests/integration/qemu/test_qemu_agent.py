"""What goes through the agent in a guest, also what takes the agent itself away."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from support.agentguest import with_agent
from support.qemu import Heard, needs_qemu

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import InternalError, OperationInvalid

pytestmark = [needs_qemu, pytest.mark.long]
UP = c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED


async def test_an_agent_suspends_and_shuts_down_its_guest(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path / "root") as hv:
        heard = Heard(hv)

        def count(event: Any, *values: Any) -> int:
            return sum(1 for name, _, told in heard.all if name == event.name and told[: len(values)] == values)

        async def connected(times: int) -> None:
            await heard.when(lambda: count(Domain.agent_lifecycle, UP) >= times)

        vm = await hv.create(with_agent(tmp_path))
        await connected(1)
        assert await vm.hostname() == "inside"
        assert [param.name for param in await vm.guest_info()] == ["hostname"]
        with pytest.raises(InternalError, match="agent command 'guest-get-users': no such command"):
            await vm.guest_info(c.VIR_DOMAIN_GUEST_INFO_USERS)
        with pytest.raises(InternalError, match="S4 state is disabled for this domain"):
            await vm.pm_suspend(c.VIR_NODE_SUSPEND_TARGET_DISK)

        # An agent that sleeps never answers, and its guest is to be woken.
        await _soon(vm.pm_suspend(c.VIR_NODE_SUSPEND_TARGET_MEM))
        assert (await vm.state()).state == c.VIR_DOMAIN_PMSUSPENDED
        with pytest.raises(OperationInvalid, match="domain is not running"):
            await vm.hostname()
        await _soon(vm.pm_wakeup())
        await heard.when(lambda: count(Domain.pm_woke) == 1)
        assert (await vm.state()).state == c.VIR_DOMAIN_RUNNING
        names = [name for name, _, values in heard.all if name != "monitor_event"]
        assert names[names.index("pm_suspended") + 1] == names[names.index("pm_woke") + 1] == "lifecycle"

        before = count(Domain.agent_lifecycle, UP)
        await vm.reset()  # QEMU 7.2 may not come back from a sleep that was so short
        await connected(before + 1)
        await _soon(vm.shutdown())
        await heard.until(c.VIR_DOMAIN_EVENT_STOPPED)
        assert (c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN) in heard.lifecycle()
        assert "POWERDOWN" not in [values[0] for name, _, values in heard.all if name == "monitor_event"]


async def _soon(call: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(call, 60)
