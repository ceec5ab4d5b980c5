"""A guest with an agent: a few commands of qemu-ga, so that tests need no package for it."""

import subprocess
from pathlib import Path

from .guest import guest_files
from .qemu import linux

AGENT = r"""#!/bin/busybox sh
# Serves its port; QEMU gives an empty read while nobody is connected outside.
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = org.qemu.guest_agent.0 ] && exec 3<>/dev/${port##*/}
done
while :; do
    while read -r line <&3; do
        case "$line" in
        *guest-sync-delimited*) number=${line##*: }; printf '\377{"return": %s}\n' "${number%%\}*}" >&3 ;;
        *guest-get-host-name*) echo '{"return": {"host-name": "inside"}}' >&3 ;;
        *guest-suspend-ram*) echo mem >/sys/power/state ;;
        *guest-shutdown*reboot*) reboot -f ;;
        *guest-shutdown*) poweroff -f ;;
        *guest-leave*) exit ;;
        *) echo '{"error": {"class": "CommandNotFound", "desc": "no such command"}}' >&3 ;;
        esac
    done
    usleep 50000
done
"""
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def with_agent(folder: Path, name: str = "agent") -> str:
    """The test guest with an agent in it; its initrd is made in `folder`."""
    (folder / "agent").write_text(AGENT)
    (folder / "agent").chmod(0o755)
    packed = subprocess.run(
        ("cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"),
        cwd=folder,
        input=b"agent\n",
        capture_output=True,
        check=True,
    )
    _, plain = guest_files()
    initrd = folder / "initrd"
    initrd.write_bytes(plain.read_bytes() + packed.stdout)
    xml = linux(name, machine="q35", devices=CHANNEL, cmdline="run=setsid~/agent~&amp;")
    return xml.replace(str(plain), str(initrd)).replace(
        "<features>", "<pm><suspend-to-disk enabled='no'/></pm><features>"
    )
