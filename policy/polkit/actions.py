#!/usr/bin/env python3
"""Writes the polkit actions beside itself: one for each permission that a declared call asks for, under libvirt's ids.

Looking is allowed to everybody and everything else to nobody, which an admin's rules then change; `--check` says if the
files are current.
"""

import sys
from importlib import import_module
from pathlib import Path

from splitvirt.access.rules import MANAGE, MONITOR, action_of, read_only
from splitvirt.api.call import calls
from splitvirt.connect import DRIVERS

HERE = Path(__file__).parent
_GUARDED = {"network:search_ports", "storage_pool:search_storage_vols", "node_device:read"}
"""Permissions to look that libvirt's own actions do not give to everybody."""

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1.0/policyconfig.dtd">
<!-- Made by policy/polkit/actions.py from the declarations of the calls. -->
<policyconfig>
"""


def permissions() -> list[str]:
    """Every permission that some call of some contract asks for, or filters by."""
    found = set()
    for _, module, name in DRIVERS.values():
        for declared in calls(getattr(import_module(module), name)):
            for call in (declared, *declared.older):
                found |= {rule.name for rule in call.rules if rule.kind != "none"} | ({call.filter} - {""})
    return sorted(found)


def action(name: str, description: str, message: str, allow: str) -> str:
    """One action."""
    return f"""  <action id="{name}">
    <description>{description}</description>
    <message>{message}</message>
    <defaults>
      <allow_any>{allow}</allow_any>
      <allow_inactive>{allow}</allow_inactive>
      <allow_active>{allow}</allow_active>
    </defaults>
  </action>
"""


def files() -> dict[str, str]:
    """The files by name."""
    fine = ""
    for permission in permissions():
        kind, _, verb = permission.replace("_", " ").partition(":")
        allow = "yes" if read_only(permission) and permission not in _GUARDED else "no"
        fine += action(action_of(permission), f"{kind}: {verb}", f"A rule must allow '{verb}' on this {kind}", allow)
    sockets = action(MONITOR, "Look at virtual machines", "A rule forbids to look at virtual machines", "yes")
    manage = "Authentication is required to manage virtual machines"
    sockets += action(MANAGE, "Manage virtual machines", manage, "auth_admin_keep")
    return {
        "org.libvirt.api.policy": f"{HEAD}{fine}</policyconfig>\n",
        "org.libvirt.unix.policy": f"{HEAD}{sockets}</policyconfig>\n",
    }


def stale() -> list[str]:
    """The files that are not what the declarations say."""
    return [name for name, text in files().items() if not (HERE / name).exists() or (HERE / name).read_text() != text]


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"{name} is not current: run policy/polkit/actions.py")
        return bool(stale())
    for name, text in files().items():
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
