"""AES-256-CBC, to hand secrets to QEMU encrypted with the guest's master key. Only a few blocks are ever encrypted."""

from base64 import b64encode

BLOCK = 16


def double(a: int) -> int:
    """Times x in GF(2^8)."""
    return (a << 1) ^ 0x11B if a & 0x80 else a << 1


def make_sbox() -> bytes:
    """The substitution of FIPS 197: the inverse in GF(2^8), then the affine map."""
    powers, logs, x = [0] * 256, [0] * 256, 1
    for i in range(255):
        powers[i], logs[x] = x, i
        x ^= double(x)  # times 3, a generator
    box = bytearray([0x63])
    for value in range(1, 256):
        inverse = powers[(255 - logs[value]) % 255]
        mixed = inverse
        for _ in range(4):
            inverse = (inverse << 1 | inverse >> 7) & 0xFF
            mixed ^= inverse
        box.append(mixed ^ 0x63)
    return bytes(box)


SBOX = make_sbox()


def expand(key: bytes) -> list[bytes]:
    """The 15 round keys of a 256-bit key."""
    words = [key[i : i + 4] for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = double(constant)
        elif i % 8 == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(xor(word, words[i - 8]))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def mix(column: bytes) -> bytes:
    """One column of the state, mixed."""
    every = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(column[i] ^ every ^ double(column[i] ^ column[(i + 1) % 4]) & 0xFF for i in range(4))


def encrypt_block(block: bytes, keys: list[bytes]) -> bytes:
    """One block of 16 bytes."""
    state = xor(block, keys[0])
    for number, key in enumerate(keys[1:], 1):
        state = bytes(SBOX[state[(i + 4 * (i % 4)) % BLOCK]] for i in range(BLOCK))  # substitute and shift rows
        if number < len(keys) - 1:
            state = b"".join(mix(state[i : i + 4]) for i in range(0, BLOCK, 4))
        state = xor(state, key)
    return state


def encrypt(key: bytes, iv: bytes, data: bytes) -> str:
    """`data`, padded as PKCS#7 says, under a key of 32 bytes and an IV of 16; in base64."""
    keys = expand(key)
    rest = BLOCK - len(data) % BLOCK
    padded = data + bytes([rest]) * rest
    done = [iv]
    for i in range(0, len(padded), BLOCK):
        done.append(encrypt_block(xor(padded[i : i + BLOCK], done[-1]), keys))
    return b64encode(b"".join(done[1:])).decode()
