"""The programs of libvirt's protocol: each numbers its procedures on its own. All are at version 1."""

REMOTE, QEMU, LXC, ADMIN, KEEPALIVE = 0x20008086, 0x20008087, 0x00068000, 0x06900690, 0x6B656570
PROGRAMS = {"remote": REMOTE, "qemu": QEMU, "lxc": LXC, "admin": ADMIN}
