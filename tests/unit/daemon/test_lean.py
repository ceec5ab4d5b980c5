"""What a daemon does not load or work out before somebody asks for it."""

import subprocess
import sys

START = """
import splitvirt.daemon.lean
import sys
import virtqemud.driver, splitvirt.daemon.life, splitvirt.dbus.export
from splitvirt.api.call import calls
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.daemon.lean import ABSENT, LATE, Late
from splitvirt.rpc.contract import programs_of
from splitvirt.dbus.table import interfaces_of
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_is_not_needed_is_not_loaded() -> None:
    _run("assert not [name for name in ABSENT if sys.modules[name]]; assert type(sys.modules['ctypes']) is Late")


def test_a_late_module_is_the_module() -> None:
    _run("import ipaddress; assert str(ipaddress.ip_address('::1')) == '::1'; assert not hasattr(ipaddress, 'nothing')")


def test_calls_are_described_at_their_first_use() -> None:
    _run(
        "programs_of({Hypervisor: None}); interfaces_of(Hypervisor); made = calls(Hypervisor)\n"
        "assert not [one for one in made if 'params' in vars(one)]\n"
        "assert made[0].rules and 'params' in vars(made[0]) and 'params' not in vars(made[1])"
    )
