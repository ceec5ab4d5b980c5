"""The in-memory hypervisor as a program: `python -m support.serve PATH` serves until its input ends."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent


async def serve(path: str) -> None:
    """Serve at `path`; says "ready" on its output. `PATH.waiting` is there once a call waits."""
    from splitvirt.access.rules import Access
    from splitvirt.api.hypervisor import Hypervisor
    from splitvirt.rpc.server import Server
    from support.hypervisor import MemoryHypervisor

    driver = MemoryHypervisor()
    await driver.define("<domain><name>one</name></domain>")
    server = Server({Hypervisor: driver}, access=Access("QEMU"))
    await server.listen(path)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    held = asyncio.create_task(_tell_of_waiting(driver, Path(f"{path}.waiting")))
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, over.set)
    await over.wait()
    held.cancel()
    await server.close(drain=0.1)


async def _tell_of_waiting(driver: Any, mark: Path) -> None:
    await driver.waiting.wait()
    mark.touch()


@contextmanager
def serving(path: str) -> Iterator[int]:
    """The program, running; the value is its pid."""
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    with subprocess.Popen(
        [sys.executable, "-m", "support.serve", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
