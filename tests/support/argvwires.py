"""Guests with many networks, character devices and screens."""

import socket
from collections.abc import Iterator
from pathlib import Path

from .argvguest import guest


def free_port(kind: socket.SocketKind, low: int = 0) -> int:
    """A port of this machine that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        for port in range(low, low + 500) if low else (0,):
            try:
                probe.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        return int(probe.getsockname()[1])


def wires(folder: Path) -> Iterator[tuple[str, str]]:
    """Networks and character devices."""
    yield "user-net", guest("<interface type='user'><model type='virtio'/><driver queues='1'/></interface>")
    yield (
        "user-net-range",
        guest(
            "<interface type='user'><ip address='172.17.2.0' family='ipv4' prefix='24'/>"
            "<model type='rtl8139'/></interface>"
        ),
    )
    yield "mcast", guest("<interface type='mcast'><source address='230.0.0.1' port='5558'/></interface>")
    yield (
        "udp-net",
        guest(
            "<interface type='udp'><source address='127.0.0.1' port='15555'>"
            f"<local address='127.0.0.1' port='{free_port(socket.SOCK_DGRAM)}'/>"
            "</source><model type='e1000e'/></interface>"
        ),
    )
    yield (
        "offloads",
        guest(
            "<interface type='user'><model type='virtio'/><driver txmode='iothread' ioeventfd='on' event_idx='off' "
            "rx_queue_size='512'><host csum='off' gso='off' tso4='off'/><guest csum='off' ufo='off'/>"
            "</driver></interface>"
        ),
    )
    yield (
        "transitional",
        guest(
            "<interface type='user'><model type='virtio-transitional'/></interface>"
            "<rng model='virtio-non-transitional'><backend model='builtin'/></rng>",
            machine="q35",
        ),
    )
    yield "rom", guest("<interface type='user'><model type='virtio'/><rom enabled='no'/></interface>")
    yield (
        "serial",
        guest(f"<serial type='file'><source path='{folder}/serial, x' append='on'/></serial><serial type='null'/>"),
    )
    yield (
        "serial-kinds",
        guest(
            "<serial type='pty'><target type='pci-serial'/></serial><serial type='pty'><target type='usb-serial'/>"
            "</serial><serial type='null'><target type='isa-debug'/></serial>"
        ),
    )
    yield (
        "serial-socket",
        guest(
            f"<serial type='unix'><source mode='bind' path='{folder}/s'/></serial>"
            "<serial type='udp'><source mode='connect' host='127.0.0.1' service='15557'/></serial>"
            f"<parallel type='file'><source path='{folder}/p'/></parallel>"
        ),
    )
    yield "log", guest(f"<serial type='pty'><log file='{folder}/log' append='on'/></serial>")
    yield "console", guest("<console type='pty'><target type='virtio'/></console>")
    yield (
        "agent",
        guest(
            "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
            "<channel type='pty'><target type='virtio'/></channel>"
        ),
    )
    yield (
        "vdagent",
        guest(
            "<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/><mouse mode='client'/></source>"
            "<target type='virtio' name='com.redhat.spice.0'/></channel>"
        ),
    )
    yield (
        "guestfwd",
        guest(
            f"<channel type='file'><source path='{folder}/fwd'/>"
            "<target type='guestfwd' address='10.0.2.1' port='4600'/>"
            "</channel>"
        ),
    )


def screens(folder: Path) -> Iterator[tuple[str, str]]:
    """Displays, cards, sound."""
    yield (
        "vnc",
        guest(
            f"<graphics type='vnc' port='{free_port(socket.SOCK_STREAM, 25901)}'/><video><model type='vga'/></video>"
        ),
    )
    yield (
        "vnc-socket",
        guest(f"<graphics type='vnc' socket='{folder}/vnc' sharePolicy='ignore' powerControl='yes' keymap='en-us'/>"),
    )
    yield "vnc-none", guest("<graphics type='vnc'><listen type='none'/></graphics>")
    yield "cirrus", guest("<video><model type='cirrus'/></video>")
    yield "vmvga", guest("<video><model type='vmvga'/></video>")
    yield (
        "virtio-gpu",
        guest("<video><model type='virtio' heads='2'><resolution x='800' y='600'/></model></video>", machine="q35"),
    )
    yield "bochs", guest("<video><model type='bochs'/></video>")
    yield "ramfb", guest("<video><model type='ramfb'/></video>")
    yield "no-video", guest("<video><model type='none'/></video>")
    yield "sound-hda", guest("<sound model='ich6'><codec type='output'/><codec type='micro'/></sound>")
    yield "sound-old", guest("<sound model='sb16'/><sound model='es1370'/><sound model='ac97'/><sound model='pcspk'/>")
    yield "sound-usb", guest("<sound model='usb'/><sound model='ich9'/>")
    yield (
        "audio-file",
        guest(
            f"<sound model='ac97'/><audio id='1' type='file' path='{folder}/a.wav'><output mixingEngine='yes' "
            "fixedSettings='yes' voices='2'><settings frequency='44100' channels='2' format='s16'/></output></audio>"
        ),
    )
