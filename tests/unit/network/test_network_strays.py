"""A dnsmasq that was started and goes into the background while its next daemon looks for it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from splitvirt.host.process import Launcher
from virtnetworkd.dnsmasq import Files
from virtnetworkd.server import Server

HOPPING = """
import os, time
print("here", flush=True)
for hop in range(40):  # as a program that goes into the background does twice
    if os.fork():
        os._exit(0)
    time.sleep(0.0005)
time.sleep(120)
"""


def named(mark: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        found += [int(name)] if mark in words else []
    return found


async def test_one_that_moves_on_from_process_to_process_is_ended(tmp_path: Path) -> None:
    files = Files("n1", tmp_path, tmp_path)
    server = Server("n1", files, Launcher("keep"), lambda name, seconds: None, False)
    mark = f"--conf-file={files.conf}"
    for _ in range(5):
        argv = [sys.executable, "-c", HOPPING, mark]
        first = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
        assert first.stdout is not None
        await first.stdout.readline()
        await server.end_strays()
        assert named(mark) == []
        await first.communicate()
