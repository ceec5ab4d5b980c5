"""One container for each of the two D-Bus implementations, shared by all tests of a run."""

import os
from collections.abc import Iterator

import pytest
from support.container import Container, container


@pytest.fixture(scope="session", params=["daemon", "broker"])
def host(request: pytest.FixtureRequest) -> Iterator[Container]:
    """A machine with splitvirt's services: alice is nobody special, bob is in the group libvirt."""
    with container(f"test-{os.getpid()}-{request.param}", request.param) as made:
        made.shell("useradd -m alice; useradd -m bob; usermod -aG libvirt bob")
        made.write("/srv/demo.xml", DEMO)
        made.write(
            "/srv/online.xml",
            DEMO.replace("demo", "online").replace("0001<", "0002<").replace("<devices>", f"<devices>{CARD}"),
        )
        yield made


CARD = "<interface type='network'><source network='default'/><model type='virtio'/></interface>"
DEMO = """<domain type='qemu'>
  <name>demo</name>
  <uuid>8e3f4f62-6e34-4a44-9d0f-1d8d3a1d0001</uuid>
  <memory unit='MiB'>48</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><serial type='pty'/></devices>
</domain>
"""
