"""A message bus of a test's own: dbus-daemon or dbus-broker, on a socket below the test's directory."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{kind}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
{limits}</busconfig>
"""


@contextlib.contextmanager
def private_bus(folder: Path, **limits: int) -> Iterator[str]:
    """The address of a bus that lives as long as the block, with limits of its own by their names."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("dbus-daemon is not installed")
    socket, config = folder / "bus", folder / "bus.conf"
    lines = "".join(f'  <limit name="{name}">{most}</limit>\n' for name, most in limits.items())
    config.write_text(_CONFIG.format(socket=socket, kind="session", limits=lines))
    bus = subprocess.Popen(
        [daemon, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog", "--print-address=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert bus.stdout is not None
        address = bus.stdout.readline().strip()
        (folder / "bus.pid").write_text(str(bus.pid))
        assert address, "the bus did not start"
        yield address
    finally:
        bus.terminate()
        bus.wait(60)
        if bus.stdout:
            bus.stdout.close()
