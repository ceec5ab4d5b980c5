"""Files and folders of definitions that survive a crash, the index of objects, and the lock on a root."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from splitvirt.store import files
from splitvirt.store.folder import ConfigFolder
from splitvirt.store.lock import OwnerLock, Taken
from splitvirt.store.registry import Registry


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_durable(path, "one")
    files.write_durable(path, b"two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files.write_volatile(path, "three", mode=0o644)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("three", 0o644)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_umask_does_not_widen_or_narrow_the_mode(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.write_durable(tmp_path / "a", "x", mode=0o644)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a"
    files.write_durable(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            files.write_durable(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_names_of_the_greatest_length(tmp_path: Path) -> None:
    files.write_durable(tmp_path / ("n" * 255), "x")
    files.link_durable(tmp_path / ("l" * 255), "target")
    assert len(list(tmp_path.iterdir())) == 2


def test_remove_link_rename_and_sweep(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert not files.remove_durable(path)
    files.write_durable(path, "x")
    files.link_durable(tmp_path / "l", "a")
    files.link_durable(tmp_path / "l", "b")
    assert os.readlink(tmp_path / "l") == "b"
    (tmp_path / ".0123.new").write_text("left over")
    assert files.sweep_temporary(tmp_path) == 1
    assert files.remove_durable(path)


def test_a_folder_of_definitions(tmp_path: Path) -> None:
    folder = ConfigFolder(tmp_path / "qemu")
    folder.open()
    folder.save("a--b", "<domain/>\n")
    folder.save("c", "<domain/>\n")
    folder.set_autostart("c", True)
    ((name, text), _) = folder.load()
    assert name == "a--b"
    assert text.endswith("-->\n\n<domain/>\n")
    assert "--" not in text.partition("<!--")[2].partition("-->")[0]
    folder.rename("c", "d", "<domain/>\n")
    assert (folder.autostart("c"), folder.autostart("d")) == (False, True)
    folder.remove("d")
    folder.set_autostart("nothing", False)
    assert [name for name, _ in folder.load()] == ["a--b"]
    assert list((tmp_path / "qemu/autostart").iterdir()) == []


def test_a_rename_that_was_interrupted_is_finished_or_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ConfigFolder(tmp_path)
    folder.open()
    folder.save("old", "<a/>")
    folder.set_autostart("old", True)
    with monkeypatch.context() as broken:
        broken.setattr(folder, "_finish", lambda old, new: None)
        folder.rename("old", "new", "<b/>")
    assert {name for name, _ in folder.load()} == {"new", "old"}
    folder.open()
    ((name, text),) = folder.load()
    assert (name, folder.autostart("new"), folder.autostart("old")) == ("new", True, False)
    assert text.endswith("<b/>")
    with monkeypatch.context() as broken:
        broken.setattr(folder, "save", lambda name, xml: None)
        broken.setattr(folder, "_finish", lambda old, new: None)
        folder.rename("new", "other", "<c/>")
    folder.save("other", "<of somebody else/>")
    folder.open()
    assert {name for name, _ in folder.load()} == {"new", "other"}
    assert not (tmp_path / ".rename").exists()


class Thing:
    def __init__(self, name: str) -> None:
        self.name, self.uuid = name, uuid4()


def test_a_definition_speaks_of_one_object() -> None:
    registry: Registry[Thing] = Registry()
    one, other = Thing("one"), Thing("other")
    registry.add(one)
    registry.add(other)
    assert registry.match("thing", "one", one.uuid, ValueError) is one
    assert registry.match("thing", "new", uuid4(), ValueError) is None
    with pytest.raises(ValueError, match=f"thing 'one' already exists with uuid {one.uuid}"):
        registry.match("thing", "one", uuid4(), ValueError)
    with pytest.raises(ValueError, match=f"thing 'one' is already defined with uuid {one.uuid}"):
        registry.match("thing", "other", one.uuid, ValueError)


def test_objects_are_found_by_every_key() -> None:
    registry: Registry[Thing] = Registry()
    one, other = Thing("one"), Thing("other")
    registry.add(one)
    registry.add(other)
    with pytest.raises(KeyError):
        registry.add(Thing("one"))
    registry.number(one, 7)
    assert (registry.by_name("one"), registry.by_uuid(one.uuid), registry.by_id(7)) == (one, one, one)
    with pytest.raises(KeyError):
        registry.rename(one, "one", "other")
    registry.rename(one, "one", "new")
    one.name = "new"
    assert (registry.by_name("one"), registry.by_name("new")) == (None, one)
    assert registry.active() == [one]
    registry.remove(one)
    registry.remove(one)
    assert (registry.by_id(7), registry.by_name("new"), list(registry), len(registry)) == (None, None, [other], 1)
    assert other in registry
    assert registry.by_uuid(UUID(int=0)) is None


ACQUIRE = [
    *(sys.executable, "-c"),
    "import sys, pathlib, splitvirt.store.lock as lock; lock.OwnerLock(pathlib.Path(sys.argv[1])).acquire()",
]


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    lock, second = OwnerLock(tmp_path / "run/lock"), OwnerLock(tmp_path / "run/lock")
    lock.acquire()
    with pytest.raises(Taken, match=rf"{tmp_path}/run is in use by this very process .*pid {os.getpid()}"):
        second.acquire()
    lock.release()
    lock.release()
    second.acquire()
    done = subprocess.run([*ACQUIRE, str(tmp_path / "run/lock")], capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()} (" in done.stderr
    second.release()


def test_a_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    subprocess.run([*ACQUIRE, str(tmp_path / "lock")], check=True)
    OwnerLock(tmp_path / "lock").acquire()
