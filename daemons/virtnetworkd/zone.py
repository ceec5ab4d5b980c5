"""firewalld's zone that a network asks its bridge to be in (`<bridge zone='...'/>`); without one nothing is asked."""

import logging
import os
import shutil
import subprocess

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError
from splitvirt.xml.network import Network

log = logging.getLogger(__name__)
SECONDS = 20.0
"""How long firewalld may take for a change."""


def wanted(net: Network) -> str | None:
    """The zone; an open network leaves the firewall to others."""
    return net.bridge.zone if net.bridge and net.mode != "open" else None


def enter(net: Network) -> None:
    """Put the bridge in its zone. Raises InternalError: firewalld does not run, or has no such zone."""
    zone = wanted(net)
    if zone is None:
        return
    program = _program()
    if program is None or _run(program, "--state").returncode:
        raise InternalError(
            f"zone {zone} requested for network {net.name} but firewalld is not active", domain=VIR_FROM_NETWORK
        )
    done = _run(program, f"--zone={zone}", f"--change-interface={net.bridge_name}")
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        raise InternalError(
            f"firewalld did not put bridge {net.bridge_name} in zone {zone}: {words}", domain=VIR_FROM_NETWORK
        )


def leave(net: Network) -> None:
    """Take the bridge out of its zone."""
    zone, program = wanted(net), _program()
    if zone is None or program is None:
        return
    done = _run(program, f"--zone={zone}", f"--remove-interface={net.bridge_name}")
    if done.returncode:
        log.info("bridge %s was not in firewalld's zone %s: %s", net.bridge_name, zone, done.stderr.strip())


def _program() -> str | None:
    return shutil.which("firewall-cmd", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")


def _run(*argv: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 1, "", str(error))
