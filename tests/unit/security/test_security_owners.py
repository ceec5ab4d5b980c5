"""Giving files to a guest's user and back: who may be led where, what is noted, what is restored."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.owners import ALICE, GID, HERS, MINE, NOTE, UID, file, needs_notes, needs_root, notes, open_folder, who

from splitvirt.api.errors import InvalidArg, OperationInvalid
from virtqemud.security import process
from virtqemud.security.backing import below
from virtqemud.security.dac import Given, Ownership, hand_folder, let_pass
from virtqemud.security.reach import Astray, find, name_of

BOB = 65300
TO = (UID, GID)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def _give(ownership: Ownership, path: Path, to: tuple[int, int] = TO) -> Given:
    fd, given = ownership.prepare(str(path), to)
    try:
        ownership.give(fd, given)
    finally:
        os.close(fd)
    return given


@needs_notes
def test_a_file_is_given_noted_and_given_back(folder: Path) -> None:
    disk, ownership = file(folder / "disk"), Ownership(remember=True)
    given = _give(ownership, disk)
    assert (who(disk), notes(disk)) == (MINE, {"dac": f"+{ALICE}:+{ALICE}", "ref_dac": "1"})
    ownership.take_back(given)
    assert (who(disk), notes(disk)) == (HERS, {})


@needs_notes
def test_the_last_of_several_gives_it_back(folder: Path) -> None:
    disk, ours, libvirts = file(folder / "disk"), Ownership(remember=True), Ownership(remember=True)
    first, second, third = _give(ours, disk), _give(ours, disk), _give(libvirts, disk)
    assert notes(disk)["ref_dac"] == "3"
    for holder, given in ((ours, first), (libvirts, third)):
        holder.take_back(given)
        assert who(disk) == MINE
    ours.take_back(second)
    assert (who(disk), notes(disk)) == (HERS, {})


@needs_notes
def test_another_user_does_not_get_what_one_has(folder: Path) -> None:
    disk = file(folder / "disk")
    given = _give(Ownership(remember=True), disk)
    with pytest.raises(OperationInvalid, match=r"Setting different DAC user or group on .* already in use"):
        _give(Ownership(remember=True), disk, (BOB, BOB))
    assert (who(disk), notes(disk)["ref_dac"]) == (MINE, "1")
    Ownership(remember=True).take_back(given)
    assert who(disk) == HERS


@needs_notes
def test_notes_of_an_earlier_boot_mean_nothing(folder: Path) -> None:
    disk = file(folder / "disk")
    for name, value in (("dac", b"+1:+1"), ("ref_dac", b"7"), ("timestamp_dac", b"12345")):
        os.setxattr(disk, NOTE + name, value)
    ownership = Ownership(remember=True)
    given = _give(ownership, disk)
    assert notes(disk) == {"dac": f"+{ALICE}:+{ALICE}", "ref_dac": "1"}
    ownership.take_back(given)
    assert who(disk) == HERS


@needs_notes
def test_what_never_came_back_before_the_host_went_down_comes_back_now(folder: Path) -> None:
    disk = file(folder / "disk")
    os.chown(disk, UID, GID)
    for name, value in (("dac", f"+{ALICE}:+{ALICE}".encode()), ("ref_dac", b"1"), ("timestamp_dac", b"12345")):
        os.setxattr(disk, NOTE + name, value)
    ownership = Ownership(remember=True)
    given = _give(ownership, disk)
    assert (who(disk), notes(disk)) == (MINE, {"dac": f"+{ALICE}:+{ALICE}", "ref_dac": "1"})
    ownership.take_back(given)
    assert (who(disk), notes(disk)) == (HERS, {})


@needs_root
def test_without_remembering_it_goes_to_root(folder: Path) -> None:
    disk, ownership = file(folder / "disk"), Ownership(remember=False)
    given = _give(ownership, disk)
    assert (who(disk), notes(disk)) == (MINE, {})
    ownership.take_back(given)
    assert who(disk) == (0, 0)


@needs_root
def test_without_notes_the_record_knows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without extended attributes: several of our own guests are counted by us."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    disk, ownership = file(folder / "disk"), Ownership(remember=True)
    first, second = _give(ownership, disk), _give(ownership, disk)
    ownership.take_back(first)
    assert who(disk) == MINE
    successor = Ownership(remember=True)
    successor.expect(second)
    successor.take_back(second)
    assert who(disk) == HERS


@needs_notes
def test_a_record_of_what_was_never_done_takes_nothing_away(folder: Path) -> None:
    """Of two guests of one disk the second died between its record and the chown."""
    disk, ownership = file(folder / "disk"), Ownership(remember=True)
    first = _give(ownership, disk)
    ownership.expect(first._replace(path="another name"))
    ownership.take_back(first._replace(path="another name"))
    assert (who(disk), notes(disk)["ref_dac"]) == (MINE, "1")
    ownership.take_back(first)
    assert who(disk) == HERS


@needs_root
def test_what_somebody_else_took_meanwhile_stays_theirs(folder: Path) -> None:
    disk, ownership = file(folder / "disk"), Ownership(remember=False)
    given = _give(ownership, disk)
    os.chown(disk, BOB, BOB)
    ownership.take_back(given)
    assert who(disk) == (BOB, BOB)
    disk.unlink()
    ownership.take_back(given)


@needs_root
def test_links_are_followed_only_where_their_owner_may_lead(folder: Path) -> None:
    hers, secret = file(folder / "hers"), file(folder / "secret", owner=0)
    for name, target, owner in (
        ("of-root", hers, 0), ("her-own", hers, ALICE), ("to-root", secret, ALICE), ("of-bob", hers, BOB),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
        os.chown(folder / name, owner, owner, follow_symlinks=False)
    for name in ("of-root", "her-own"):
        fd = find(str(folder / name))
        assert name_of(fd) == str(hers)
        os.close(fd)
    for name in ("to-root", "of-bob"):
        with pytest.raises(Astray, match=f"the link {name} belongs to user"):
            find(str(folder / name))
    (folder / "dir").symlink_to(folder)
    os.chown(folder / "dir", ALICE, ALICE, follow_symlinks=False)
    with pytest.raises(Astray):
        find(str(folder / "dir/secret"))
    (folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        find(str(folder / "loop"))
    with pytest.raises(FileNotFoundError, match="nothing"):
        find(str(folder / "nothing"))


@needs_root
def test_the_file_that_was_looked_at_is_given_whatever_lies_there_by_then(folder: Path) -> None:
    disk, secret, ownership = file(folder / "disk"), file(folder / "secret", owner=0), Ownership(remember=False)
    fd, given = ownership.prepare(str(disk), TO)
    disk.rename(folder / "moved")
    disk.symlink_to(secret)
    ownership.give(fd, given)
    os.close(fd)
    assert (who(secret), who(folder / "moved")) == ((0, 0), MINE)
    ownership.take_back(given)
    assert who(secret) == (0, 0)


@needs_root
def test_a_file_to_be_made_is_not_made_behind_a_link(folder: Path) -> None:
    ownership = Ownership(remember=False)
    fd, given = ownership.prepare(str(folder / "log"), TO, make=True)
    ownership.give(fd, given)
    os.close(fd)
    assert (who(folder / "log"), (folder / "log").stat().st_mode & 0o777) == (MINE, 0o600)
    (folder / "dangling").symlink_to(folder / "elsewhere")
    with pytest.raises(FileNotFoundError):
        ownership.prepare(str(folder / "dangling"), TO, make=True)
    assert not (folder / "elsewhere").exists()


@needs_root
def test_folders_stay_ours(folder: Path) -> None:
    given, passed = folder / "given", folder / "passed"
    given.mkdir(0o700)
    passed.mkdir(0o750)
    os.chown(passed, ALICE, ALICE)
    hand_folder(given, GID)
    let_pass(passed)
    assert (who(given), oct(given.stat().st_mode & 0o7777)) == ((0, GID), "0o1770")
    assert (who(passed), oct(passed.stat().st_mode & 0o7777)) == ((0, 0), "0o751")


def test_users_by_name_and_number() -> None:
    assert process.of_label("+65123:+65124") == (UID, GID)
    assert process.of_label("65123:root") == (UID, 0)
    assert process.of_label("nobody:root")[0] == 65534
    for label, words in (
        ("nobody", "Failed to parse uid and gid from 'nobody'"), ("no-such:root", "Failed to parse user 'no-such'"),
        ("root:no-such", "Failed to parse group 'no-such'"), ("+4294967295:+0", "Failed to parse user '.4294967295'"),
        ("+-1:+0", "Failed to parse user"), (":", "Failed to parse user ''"),
    ):  # fmt: skip
        with pytest.raises(InvalidArg, match=words):
            process.of_label(label)


def test_the_groups_of_a_user() -> None:
    assert process.identity(UID, GID) == (UID, GID, (GID,))
    assert process.identity(0, 0).groups == tuple(sorted({0, *os.getgrouplist("root", 0)}))
    assert process.configured({"user": "+65123"}) == (UID, UID, (UID,))
    assert process.configured({"user": "root", "group": "+7"})[:2] == (0, 7)  # type: ignore[index]
    with pytest.raises(InvalidArg, match="no-such"):
        process.configured({"user": "no-such"})


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img (Debian: qemu-utils)")
def test_images_below_an_image(tmp_path: Path) -> None:
    def make(name: str, *more: str) -> Path:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *more, name, "1M"], cwd=tmp_path, check=True)
        return tmp_path / name

    (tmp_path / "bottom.raw").write_bytes(bytes(1 << 20))
    bottom = make("bottom", "-b", "bottom.raw", "-F", "raw")
    middle = make("middle", "-b", str(bottom), "-F", "qcow2")
    text = f'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{middle}"}}}}'
    top = make("top", "-b", text, "-F", "qcow2")
    assert list(below(str(top), "qcow2")) == [str(middle), str(bottom), str(tmp_path / "bottom.raw")]
    assert list(below(str(top), "raw")) == []
    assert list(below(str(tmp_path / "bottom.raw"), "qcow2")) == []
    assert list(below(str(tmp_path / "nothing"), "qcow2")) == []
    assert list(below("/dev/zero", "qcow2")) == []
    away = make("away", "-u", "-b", "nbd://example.org/x", "-F", "raw")
    assert list(below(str(away), "qcow2")) == []
    ring = make("ring", "-u", "-b", "round", "-F", "qcow2")
    assert list(below(str(make("round", "-u", "-b", "ring", "-F", "qcow2")), "qcow2")) == [str(ring)]
