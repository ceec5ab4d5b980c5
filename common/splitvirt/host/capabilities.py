"""Capabilities of this thread (capabilities(7))."""

import os
from pathlib import Path

_PR_CAPBSET_DROP = 24  # linux/prctl.h


def drop_bounding() -> None:
    """Let what this thread starts from now on have no capabilities, whoever it runs as. OSError where that fails."""
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        if prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
