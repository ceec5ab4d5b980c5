"""A daemon's command line is read as argparse reads it, whichever of the two does; signals reach the loop."""

import asyncio
import os
import signal

import pytest

from splitvirt.daemon import signals
from splitvirt.daemon.main import Options, options_of, parser
from virtqemud.__main__ import SERVICE

LINES = (
    "", "--timeout 120", "--timeout 0 --verbose", "--root /a --bus none --listen /b", "--check-config --config /c",
    "--timeout=30", "--verb", "--bus unix:path=/x --root relative", "--config a --config b",
)  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_it_is_read_alike(line: str) -> None:
    words = line.split()
    assert options_of(SERVICE, words) == Options(**vars(parser(SERVICE).parse_args(words)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--timeout soon", "soon is not a number of seconds"),
        ("--timeout", "expected one argument"),
        ("--root --verbose", "expected one argument"),
        ("--what", "unrecognized arguments: --what"),
        ("stray", "unrecognized arguments: stray"),
    ],
)
def test_what_is_wrong_is_said(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options_of(SERVICE, line.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


async def test_signals_come_in_the_loop_until_it_is_enough() -> None:
    came: asyncio.Queue[str] = asyncio.Queue()
    before = signal.getsignal(signal.SIGUSR1)
    with signals.catch(
        {signal.SIGUSR1: lambda: came.put_nowait("one"), signal.SIGUSR2: lambda: came.put_nowait("two")}
    ):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await asyncio.wait_for(came.get(), 60) == "one"
        os.kill(os.getpid(), signal.SIGUSR2)
        assert await asyncio.wait_for(came.get(), 60) == "two"
    assert signal.getsignal(signal.SIGUSR1) == before
