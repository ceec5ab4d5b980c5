"""`splitvirt call` against a served hypervisor: text in, text out."""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.canned import canned_hypervisor

from splitvirt.access.rules import Access
from splitvirt.api.domain_life import DomainState
from splitvirt.api.errors import NoDomain
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.params import TypedParam
from splitvirt.cli import call
from splitvirt.rpc.server import Server


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Any, str]]:
    """A hypervisor behind a socket, and its URI."""
    driver = canned_hypervisor({"Domain.state": DomainState(1, 5), "Hypervisor.version": 7002000})
    driver.answers |= {f"Hypervisor.{name}": _domain for name in ("domain_by_name", "domain_by_uuid")}
    driver.answers |= {"Hypervisor.domains": lambda root: [root.domain], "Hypervisor.domain_by_id": _domain}
    driver.answers |= {"Domain.memory_params": [TypedParam.ullong("hard_limit", 5)]}
    driver.answers |= {"Domain.memory_stats": {4: 9, 77: 1}, "Hypervisor.stats": []}
    server = Server({Hypervisor: driver}, access=Access("QEMU"))
    await server.listen(tmp_path / "sock")
    yield driver, f"qemu:///system?socket={tmp_path / 'sock'}"
    await server.close(drain=1)


def _domain(root: Any) -> object:
    return root.domain


def last(driver: Any) -> Any:
    return driver.asked[-1]


async def said(capsys: pytest.CaptureFixture[str], uri: str, *words: str, status: int = 0) -> str:
    parser = argparse.ArgumentParser()
    call.arguments(parser)
    options = parser.parse_args(["-c", uri, *words])
    assert await asyncio.to_thread(call.run, options) == status
    captured = capsys.readouterr()
    return (captured.err if status else captured.out).strip()


async def test_calls(served: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    driver, uri = served
    assert await said(capsys, uri, "version") == "7002000"
    assert await said(capsys, uri, "domains") == "demo 00000000-0000-0000-0000-000000001234 7"
    assert await said(capsys, uri, "domain:demo", "state") == "state: running (1)\nreason: unpaused (5)"
    assert await said(capsys, uri, "domain:demo", "memory_params") == "hard_limit: 5"
    assert await said(capsys, uri, "domain:demo", "set_memory_params", "hard_limit:t=7,x:s=y", "flags=2") == ""
    params = [TypedParam.ullong("hard_limit", 7), TypedParam.string("x", "y")]
    assert last(driver) == ("Domain.set_memory_params", params, 2)
    await said(capsys, uri, "domain:demo", "pin_vcpu", "1", "0,2-3")
    assert last(driver)[:2] == ("Domain.pin_vcpu", 1)
    await said(capsys, uri, "domain:demo", "send_key", "0", "100", "29,0x38,111")
    assert last(driver) == ("Domain.send_key", 0, 100, [29, 56, 111], 0)
    await said(capsys, uri, "domain:demo", "set_autostart", "yes")
    assert last(driver) == ("Domain.set_autostart", True)
    assert await said(capsys, uri, "domain:demo", "memory_stats") == "unused (4): 9\n77: 1"
    assert await said(capsys, uri, "stats", "domain:demo,domain:demo", "flags=1") == ""
    asked, stats, flags = last(driver)[1:]
    assert ([one.name for one in asked], stats, flags) == (["demo", "demo"], 0, 1)
    assert "domain:NAME create [flags]\n    Start a defined domain" in await said(capsys, uri, "--list")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nothing"], "there is no call 'nothing'"),
        (["domain:demo"], "there is no call '?'"),
        (["house:demo", "state"], "no kind of object 'house'"),
        (["version", "5"], "'5' is too much"),
        (["domain:demo", "set_memory", "lots"], "'lots' is not a number"),
        (["domain:demo", "set_memory", "-1"], "-1 is not between"),
        (["domain:demo", "set_memory"], "needs memory as well"),
        (["domain:demo", "set_autostart", "maybe"], "neither yes nor no"),
        (["domain:demo", "pin_vcpu", "1", "a"], "not a list of processors"),
        (["domain:demo", "set_memory_params", "x=5"], "'x=5' is not a parameter"),
        (["domain:demo", "open_console"], "needs a stream"),
        (["domain:demo", "stats"], "there is no call 'stats' here"),
        (["domain_by_uuid", "no"], "malformed UUID"),
    ],
)
async def test_mistakes(
    served: tuple[Any, str], capsys: pytest.CaptureFixture[str], words: list[str], error: str
) -> None:
    _, uri = served
    assert error in await said(capsys, uri, *words, status=1)


async def test_the_shell_tells_a_failed_call_in_a_line(served: tuple[Any, str]) -> None:
    driver, uri = served

    def missing(root: Any) -> object:
        raise NoDomain("no domain with matching name 'x'")

    driver.answers["Hypervisor.domain_by_name"] = missing
    argv = [sys.executable, "-m", "splitvirt.cli", "shell", "-c", uri]
    typed = "hv.version()\nhv.domain_by_name('x')\n1/0\n"
    done = await asyncio.to_thread(
        subprocess.run, argv, input=typed, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "7002000" in done.stdout
    assert "\nNoDomain: Domain not found: no domain with matching name 'x'\n" in done.stderr
    assert done.stderr.count("Traceback") == 1
    assert "ZeroDivisionError" in done.stderr


async def test_nobody_of_that_name(served: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    driver, uri = served

    def missing(root: Any) -> object:
        raise NoDomain("no domain with matching name 'x'")

    driver.answers["Hypervisor.domain_by_name"] = missing
    assert await said(capsys, uri, "domain:x", "state", status=1) == (
        "splitvirt: Domain not found: no domain with matching name 'x'"
    )
