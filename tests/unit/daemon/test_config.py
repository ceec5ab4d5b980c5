"""libvirt's configuration syntax, and what is said of wrong files."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitvirt.daemon.config import Config, ConfigError, Key, octal, one_of, read, within
from splitvirt.daemon.keys import DAEMON, NETWORK, QEMU

KEYS = {
    "name": Key("none"),
    "count": Key(5, within(1, 10), reload=True),
    "on": Key(False),
    "many": Key([]),
    "mode": Key("0777", octal),
    "kind": Key("a", one_of("a", "b")),
    "old": Key("", inert="it was dropped"),
    "core": Key(0, text_too="unlimited"),
    "where": Key([], text_too=True),
}


def test_every_form_of_a_value() -> None:
    text = """# a comment
name = "a # b"   # behind it
  count=-7
on = 1
many = [ "x",   # first
  'y',
]
long = \"\"\"two
lines\"\"\"
empty = []
"""
    found = {one.name: (one.value, one.line) for one in read(text)}
    assert found == {
        "name": ("a # b", 2),
        "count": (-7, 3),
        "on": (1, 4),
        "many": (["x", "y"], 5),
        "long": ("two\nlines", 8),
        "empty": ([], 10),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "f.conf:1: expecting an assignment after a"),
        ("\na = ", "f.conf:2: expecting a value"),
        ("a = 1 2", "f.conf:1: expecting the end of the line"),
        ('a = ["x" "y"]', "f.conf:1: expecting , or ] in a list"),
        ('a = ["x", =]', "f.conf:1: expecting a value or ] in a list"),
        ("a = [", "f.conf:1: expecting a value or ] in a list"),
        ('a = "x', "f.conf:1: unexpected '\"x'"),
        ("= 3", "f.conf:1: expecting a name"),
    ],
)
def test_what_cannot_be_read_names_file_and_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "f.conf")
    assert str(caught.value) == said


def load(text: str) -> Config:
    config = Config(KEYS)
    config.add(text, "f.conf")
    return config


def test_values_over_defaults() -> None:
    config = load('count = 3\non = 1\nmany = ["x"]\ncore = "unlimited"\nwhere = "/x"')
    assert (config.number("count"), config.flag("on"), config.texts("many")) == (3, True, ["x"])
    assert (config["core"], config["where"], load("core = 5")["core"]) == ("unlimited", "/x", 5)
    assert (config.text("name"), dict(config)["kind"]) == ("none", "a")
    assert not config.errors + config.warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("count = 11", "f.conf:1: count: 11: must be from 1 to 10"),
        ('count = "3"', "f.conf:1: count: '3': must be a number"),
        ("on = 2", "f.conf:1: on: 2: must be 0 or 1"),
        ("name = 3", 'f.conf:1: name: 3: must be "text"'),
        ('many = "x"', "f.conf:1: many: 'x': must be [\"text\", ...]"),
        ('core = "x"', "f.conf:1: core: 'x': must be a number or \"unlimited\""),
        ("where = 3", 'f.conf:1: where: 3: must be ["text", ...] or "text"'),
        ('mode = "999"', "f.conf:1: mode: '999': must be a mode such as \"0770\""),
        ('kind = "c"', 'f.conf:1: kind: \'c\': must be one of "a", "b"'),
    ],
)
def test_wrong_values_are_refused_with_what_is_allowed(text: str, said: str) -> None:
    config = load(text)
    assert config.errors == [said]
    assert not config.given


def test_unknown_and_inert_keys_are_warned_of() -> None:
    config = load('\nnme = "x"\nold = "y"\nold = ""')
    assert config.warnings == [
        "f.conf:2: nme: unknown key; did you mean name?",
        "f.conf:3: old: has no effect: it was dropped",
    ]


def test_what_is_done_anyway_is_not_warned_of() -> None:
    config = Config(QEMU)
    config.add('security_driver = "none"\nnamespaces = []\nstdio_handler = "file"\nmax_queued = 0', "qemu.conf")
    assert config.errors + config.warnings == []
    config.add('security_driver = [ "selinux", "apparmor" ]\nnamespaces = [ "mount" ]', "qemu.conf")
    assert [line.partition("has no effect: ")[2] for line in config.warnings] == [
        "guests are confined by their user and group alone",
        "guests have no view of their own of the host's devices yet",
    ]


def test_a_host_s_uuid() -> None:
    for good in ("c7a5fdbd-cdaf-9455-926a-d65c16db1809", ""):
        assert DAEMON["host_uuid"].wrong(good) == ""
    for bad in ("x", "00000000-0000-0000-0000-000000000000"):
        assert "must be a UUID" in DAEMON["host_uuid"].wrong(bad)


def test_a_key_in_the_wrong_file_is_told_from_an_unknown_one(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("on = 1")
    config = Config.load(KEYS, [(tmp_path / "a.conf", {"count": KEYS["count"]}), (tmp_path / "none.conf", KEYS)])
    assert config.warnings == [f"{tmp_path}/a.conf:1: on: unknown key; it belongs in another file"]


def test_what_only_a_restart_takes_in() -> None:
    assert load("count = 3").frozen_changes(load('count = 4\nname = "x"')) == ["name"]


@given(st.text(alphabet="ab=[]\",#\n 01'-_", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(text)


def test_every_default_is_a_value_that_its_key_allows() -> None:
    for keys in (DAEMON, QEMU, NETWORK):
        for name, key in keys.items():
            default = int(key.default) if isinstance(key.default, bool) else key.default
            assert not key.wrong(default), name


@pytest.mark.parametrize(("conf", "keys"), [("libvirtd.conf", DAEMON), ("qemu.conf", QEMU)])
def test_every_key_in_libvirt_s_own_file_is_known(conf: str, keys: dict[str, Key]) -> None:
    path = Path("/etc/libvirt") / conf
    if not path.exists():
        pytest.skip(f"{path} is not there (Debian's libvirt-daemon-system)")
    names = set(re.findall(r"^#([a-z_0-9]+) *=", path.read_text(), re.MULTILINE))
    assert names
    assert names - set(keys) == set()


def test_every_key_that_is_said_to_work_is_read_somewhere() -> None:
    """A key that no code reads must say so (`inert`), so that an admin is warned."""
    top = Path(__file__).parents[3]
    files = [
        path for folder in ("common", "daemons") for path in (top / folder).rglob("*.py") if path.name != "keys.py"
    ]
    code = "".join(path.read_text() for path in files)
    by_prefix = r"(unix_sock_\w+_perms|(admin_)?(max|min|prio|keepalive)_\w+|(chardev|nbd|vxhs)_tls_x509_cert_dir)"
    for name, key in {**DAEMON, **QEMU}.items():
        assert key.inert or re.fullmatch(by_prefix, name) or re.search(rf"""["']{name}["']""", code), name
