"""Who may open a daemon's sockets, by its configuration: those that it makes, and systemd's, which are open to all."""

import os

import pytest

from splitvirt.access.identity import Identity
from splitvirt.daemon.config import Config
from splitvirt.daemon.keys import DAEMON
from splitvirt.daemon.sockets import confined, mode_of
from splitvirt.host.paths import Layout

STRANGER = Identity(4242, 4242, groups=(4242,))
MEMBER = Identity(4243, 4243, groups=(0,))


def config(text: str) -> Config:
    made = Config(DAEMON)
    made.add(text, "virtqemud.conf")
    assert not made.errors + made.warnings
    return made


@pytest.mark.parametrize(
    ("text", "layout", "modes"),
    [
        ("", Layout.system(), (0o777, 0o777, 0o700)),  # polkit decides
        ('auth_unix_rw = "none"', Layout.system(), (0o700, 0o777, 0o700)),
        ("", Layout.under("/x", "system"), (0o700, 0o777, 0o700)),
        ('auth_unix_rw = "polkit"', Layout.under("/x", "system"), (0o777, 0o777, 0o700)),
        ('unix_sock_rw_perms = "0770"\nunix_sock_ro_perms = "0700"', Layout.system(), (0o770, 0o700, 0o700)),
    ],
)
def test_modes(text: str, layout: Layout, modes: tuple[int, int, int]) -> None:
    found = config(text)
    assert tuple(mode_of(layout, found, kind) for kind in ("rw", "ro", "admin")) == modes


@pytest.mark.parametrize(
    ("text", "stranger", "member"),
    [
        ("", True, True),  # nothing is said: the unit's own SocketMode= is what counts
        ('auth_unix_rw = "none"', True, True),
        ('unix_sock_group = "root"', True, True),  # polkit decides
        ('unix_sock_group = "root"\nauth_unix_rw = "none"', False, False),
        ('unix_sock_group = "root"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"', False, True),
    ],
)
def test_systemd_s_sockets_are_no_wider_than_the_configuration(text: str, stranger: bool, member: bool) -> None:
    found, layout = config(text), Layout.system()
    assert confined(layout, found, STRANGER, "rw") is stranger
    assert confined(layout, found, MEMBER, "rw") is member
    assert confined(layout, found, Identity(0, 0), "rw")
    assert confined(layout, found, Identity(os.geteuid(), 0), "rw")
