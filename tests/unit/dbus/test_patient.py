"""A full socket is waited out, and descriptors go along with the first bytes that are taken."""

import array
import os
import socket

from splitvirt.dbus.library import Patient


def test_descriptors_survive_a_full_socket() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    patient = Patient(near)
    filled = 0
    while sent := patient.send(memoryview(b"x" * 65536)):
        filled += sent
    reading, writing = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reading]))]
    assert patient.sendmsg([memoryview(b"message")], rights) == 0
    os.close(reading)  # the writer believes it gone; a copy is held
    assert patient.send(memoryview(b"message")) == 0
    while filled:
        filled -= len(far.recv(65536))
    assert patient.send(memoryview(b"message")) == 7
    data, fds, _, _ = socket.recv_fds(far, 100, 4)
    assert data == b"message"
    assert len(fds) == 1
    os.write(writing, b"through")
    assert os.read(fds[0], 10) == b"through"
    assert patient.send(memoryview(b"next")) == 4
    assert socket.recv_fds(far, 100, 4)[1] == []
    patient.close()
    for fd in (writing, *fds):
        os.close(fd)
    near.close()
    far.close()
