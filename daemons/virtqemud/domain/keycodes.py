"""Keys as QEMU numbers them ("qnum": a PC keyboard's first set of scan codes, with 0x80 for the 0xe0 prefix)."""

from splitvirt.api import constants as c
from splitvirt.api.errors import InternalError, InvalidArg

# Linux's numbers (linux/input-event-codes.h) of keys whose scan code has the prefix, or differs otherwise.
_LINUX = {
    96: 0x9C, 97: 0x9D, 98: 0xB5, 99: 0x54, 100: 0xB8, 102: 0xC7, 103: 0xC8, 104: 0xC9, 105: 0xCB, 106: 0xCD,
    107: 0xCF, 108: 0xD0, 109: 0xD1, 110: 0xD2, 111: 0xD3, 113: 0xA0, 114: 0xAE, 115: 0xB0, 116: 0xDE, 117: 0x59,
    119: 0xC6, 121: 0x7E, 122: 0xF2, 123: 0xF1, 124: 0x7D, 125: 0xDB, 126: 0xDC, 127: 0xDD, 128: 0xE8, 129: 0x85,
    130: 0x86, 131: 0x87, 132: 0x8C, 133: 0xF8, 134: 0x64, 135: 0x65, 136: 0xC1, 137: 0xBC, 138: 0xF5, 139: 0x9E,
    140: 0xA1, 142: 0xDF, 143: 0xE3, 155: 0xEC, 156: 0xE6, 158: 0xEA, 159: 0xE9, 163: 0x99, 164: 0xA2, 165: 0x90,
    166: 0xA4, 173: 0xE7, 183: 0x5D, 184: 0x5E, 185: 0x5F,
}  # fmt: skip
_PLAIN = range(1, 89)
"""Linux's numbers that are the scan codes themselves."""

# USB's usage numbers (HID usage tables, keyboard page) as Linux's.
_USB = dict(enumerate((
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44,
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58,
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88, 99, 70, 119, 110, 102, 104, 111, 107, 109, 106, 105, 108, 103,
    69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 86, 127, 116, 117,
), start=4)) | dict(enumerate((29, 42, 56, 125, 97, 54, 100, 126), start=0xE0))  # fmt: skip

_SETS = {
    c.VIR_KEYCODE_SET_USB: "usb",
    c.VIR_KEYCODE_SET_LINUX: "linux",
    c.VIR_KEYCODE_SET_XT: "xt",
    c.VIR_KEYCODE_SET_ATSET1: "atset1",
    c.VIR_KEYCODE_SET_QNUM: "qnum",
}


def to_qnum(codeset: int, code: int) -> int:
    """QEMU's number of a key given in one of libvirt's sets. InvalidArg for a set, InternalError for a key unknown."""
    name = _SETS.get(codeset)
    if name is None:
        raise InvalidArg(f"unsupported keycode set {codeset}: not linux, usb, xt, atset1, qnum", domain=c.VIR_FROM_QEMU)
    found: int | None = code
    if name == "usb":
        found = code = _USB.get(code, 0)
    if name in ("linux", "usb"):
        found = code if code in _PLAIN else _LINUX.get(code)
    elif name in ("xt", "atset1"):
        found = code & 0x7F | 0x80 if code >> 8 == 0xE0 else code
    if found is None or not 0 < found < 0x100:
        raise InternalError(
            f"cannot translate keycode {code} of {name} codeset to qnum keycode", domain=c.VIR_FROM_QEMU
        )
    return found
