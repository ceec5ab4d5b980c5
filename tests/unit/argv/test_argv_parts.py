"""What command lines are made of: options, JSON, quoting, encryption."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtqemud.argv.cipher import encrypt, encrypt_block, expand
from virtqemud.argv.command import Command, quote
from virtqemud.argv.parts import Parts, compact, options


def test_options_leave_out_none_and_double_commas() -> None:
    assert options("socket", id="a", path="/x,y", server=True, wait=False, reconnect=None, tls_creds="t") == (
        "socket,id=a,path=/x,,y,server=on,wait=off,tls-creds=t"
    )
    assert options(if_="sd", index=0) == "if=sd,index=0"


def test_json_is_compact_and_without_none() -> None:
    parts = Parts()
    parts.json("-device", {"driver": "x", "a": None, "b": [1, {"c": None}], "d": False})
    assert parts.args == ["-device", '{"driver":"x","b":[1,{}],"d":false}']
    assert compact({"ä": "ü"}) == '{"ä":"ü"}'


def test_parts_add_up() -> None:
    one, two = Parts(["-a"], fds=[3], files={"x": b""}), Parts(["-b"], sockets=["/s"], paths=["/p"])
    one += two
    assert (one.args, one.fds, one.files, one.sockets, one.paths) == (["-a", "-b"], [3], {"x": b""}, ["/s"], ["/p"])


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5))
def test_text_reads_back_in_a_shell(words: list[str]) -> None:
    assert shlex.split(Command(["/qemu", *words], {"A": "b c"}).text()) == ["A=b c", "/qemu", *words]


@pytest.mark.parametrize("word", ["-m", "a=b,c=d", "/x/y.z", "[::1]:0"])
def test_plain_words_stay_plain(word: str) -> None:
    assert quote(word) == word


def test_cipher_is_aes_256() -> None:
    key, plain = bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff")
    assert encrypt_block(plain, expand(key)).hex() == "8ea2b7ca516745bfeafc49904b496089"  # FIPS 197, C.3


def test_cipher_chains_blocks() -> None:
    """SP 800-38A, F.2.5: the first two blocks; a third of padding follows."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    from base64 import b64decode

    done = b64decode(encrypt(key, bytes(range(16)), plain))
    assert done[:32].hex() == "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
    assert len(done) == 48
