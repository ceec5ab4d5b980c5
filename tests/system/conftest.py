"""One container for each of the two D-Bus implementations, shared by all tests of a run."""

import os
from collections.abc import Iterator

import pytest
from support.container import CARD, DEMO, Container, container


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
