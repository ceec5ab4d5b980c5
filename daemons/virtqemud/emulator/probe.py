"""Asking a QEMU binary what it can do, once: the answer is kept in the user's cache for every root and process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EACCES, EISDIR
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InternalError, SystemError_, VirtError
from splitvirt.host.paths import make_private, user_cache
from splitvirt.host.process import Launcher, User
from splitvirt.store.files import write_volatile

from .capabilities import Capabilities, named, schema_paths

if TYPE_CHECKING:
    from virtqemud.running.monitor import Monitor

log = logging.getLogger(__name__)

FORMAT = 5
"""Raised whenever what is asked or how it is kept changes, so that older caches are asked again."""

DEADLINE = 30.0
"""Seconds that a binary has to answer everything."""


class Prober:
    """Capabilities by emulator path. One probe at a time per emulator; later askers share its answer."""

    def __init__(self, cache: Path | None = None, *, whom: Callable[[], User | None] = lambda: None) -> None:
        self._whom = whom
        """As whom emulators are asked; None: as this process. They may be anybody's programs."""
        self._cache = (cache or user_cache()) / "capabilities"
        self._known: dict[tuple[str, bool], tuple[str, Capabilities]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, emulator: str, *, kvm: bool = False) -> Capabilities:
        """What `emulator` can do; with `kvm`, whether KVM works with it too, found out by running something.

        Raises InternalError with the emulator's own words when it cannot be asked.
        """
        key = binary_key(emulator)
        known = self._known.get((emulator, kvm))
        if known and known[0] == key:
            return known[1]
        async with self._locks.setdefault(emulator, asyncio.Lock()):
            known = self._known.get((emulator, kvm))
            if known and known[0] == key:
                return known[1]
            made = await self._make(emulator, key, kvm)
            self._known[emulator, kvm] = (key, made)
            return made

    async def _make(self, emulator: str, key: str, kvm: bool) -> Capabilities:
        facts = self._load(key)
        if facts is None:
            facts = await ask(emulator, "tcg", self._whom())
            self._save(key, facts)
        if not kvm:
            return Capabilities(facts)
        verdict = await self._kvm(emulator, key)
        facts = {
            **facts,
            "cpus": {**facts["cpus"], **verdict["cpus"]},
            "expansions": {**facts["expansions"], **verdict["expansions"]},
        }
        return Capabilities(facts, kvm=verdict["works"], why_no_kvm=verdict["why"])

    async def _kvm(self, emulator: str, key: str) -> dict[str, Any]:
        from .kvm import try_kvm

        user = self._whom()
        kvm_key = f"kvm-{_kvm_key(key, user)}"
        verdict = self._load(kvm_key)
        if verdict is None:
            why = await try_kvm(emulator, user)
            verdict = {"works": not why, "why": why, "cpus": {}, "expansions": {}}
            if os.access("/dev/kvm", os.R_OK | os.W_OK):  # where guests do not run it may still say what CPU they see
                with suppress(InternalError):
                    facts = await ask(emulator, "kvm", user)
                    verdict |= {"cpus": facts["cpus"], "expansions": facts["expansions"]}
            self._save(kvm_key, verdict)
        return verdict

    def _load(self, key: str) -> dict[str, Any] | None:
        try:
            with open(self._cache / f"{key}.json", "rb") as file:
                if os.fstat(file.fileno()).st_uid not in (0, os.geteuid()):
                    return None
                kept = json.loads(file.read())
            return dict(kept) if kept.pop("format") == FORMAT else None
        except (OSError, ValueError, KeyError, AttributeError):
            return None

    def _save(self, key: str, facts: Mapping[str, Any]) -> None:
        try:
            make_private(self._cache)
            write_volatile(self._cache / f"{key}.json", json.dumps({"format": FORMAT, **facts}, separators=(",", ":")))
        except OSError as error:
            log.info("capabilities are not kept: %s", error)


def binary_key(emulator: str) -> str:
    """A short name for one state of a binary: its path, size, inode and time of change."""
    try:
        stat = os.stat(emulator)
    except OSError as error:
        raise SystemError_(f"Cannot check QEMU binary {emulator}: {error.strerror}", domain=VIR_FROM_QEMU) from None
    if not os.access(emulator, os.X_OK) or not S_ISREG(stat.st_mode):
        why = os.strerror(EISDIR if S_ISDIR(stat.st_mode) else EACCES)
        raise SystemError_(f"QEMU binary {emulator} is not executable: {why}", domain=VIR_FROM_QEMU)
    facts = (emulator, stat.st_size, stat.st_ino, stat.st_mtime_ns, FORMAT)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _kvm_key(key: str, user: User | None) -> str:
    # What the kernel and its modules can do may differ after a reboot.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    may = os.access("/dev/kvm", os.R_OK | os.W_OK)
    whose = "" if user is None else f" {user}"
    return hashlib.sha256(f"{key} {boot} {may}{whose}".encode()).hexdigest()[:32]


async def ask(emulator: str, accelerator: str, user: User | None = None) -> dict[str, Any]:
    """Start `emulator` without a machine (as `user`), ask it everything over QMP, and end it."""
    from virtqemud.running.monitor import Monitor

    launcher = Launcher("app")
    ours, theirs = socket.socketpair()
    argv = [emulator, "-S", "-no-user-config", "-nodefaults", "-display", "none"]
    argv += ["-machine", f"none,accel={accelerator}"]
    argv += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
    read, write = os.pipe()
    process = None
    monitor = Monitor(lambda *_: None)
    try:
        async with asyncio.timeout(DEADLINE):
            process = await launcher.spawn(argv, fds=[theirs.fileno()], output=write, user=user)
            theirs.close()
            await monitor.connect(ours, timeout=DEADLINE)
            return {"emulator": emulator, **await _questions(monitor, accelerator)}
    except (OSError, TimeoutError, VirtError) as error:
        ended = process is not None and await process.wait(0.5)
        if process is not None:
            await process.stop(0)
        words = _said(read) or ("it ended without a word" if ended else str(error))
        raise InternalError(f"Failed to probe QEMU binary {emulator}: {words}", domain=VIR_FROM_QEMU) from error
    finally:
        await monitor.close()
        theirs.close()
        ours.close()
        if process is not None:
            await process.stop(0)
            process.close()
        launcher.close()
        os.close(read)
        os.close(write)


def _said(fd: int) -> str:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 4096).decode(errors="replace").strip()
    except BlockingIOError:
        return ""


_QUESTIONS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "version": ("query-version", None),
    "target": ("query-target", None),
    "machines": ("query-machines", None),
    "cpus": ("query-cpu-definitions", None),
    "devices": ("qom-list-types", {"implements": "device", "abstract": False}),
    "objects": ("qom-list-types", {"implements": "user-creatable", "abstract": False}),
    "options": ("query-command-line-options", None),
    "schema": ("query-qmp-schema", None),
    "tpm-models": ("query-tpm-models", None),
}


async def _questions(monitor: Monitor, accelerator: str) -> dict[str, Any]:
    from virtqemud.running.monitor import CommandError

    answers = dict(zip(_QUESTIONS, await monitor.batch(*_QUESTIONS.values()), strict=True))
    got = {name: [] if isinstance(answer, CommandError) else answer for name, answer in answers.items()}
    version = got["version"]["qemu"]
    return {
        "version": [version["major"], version["minor"], version["micro"]],
        "package": got["version"]["package"],
        "arch": got["target"]["arch"],
        "machines": got["machines"],
        "cpus": {accelerator: [_lean(model) for model in got["cpus"]]},
        "expansions": {accelerator: await _expand(monitor, "host" if accelerator == "kvm" else "max")},
        "models": await _models(monitor, got["cpus"]) if accelerator == "tcg" else {},
        "devices": sorted(entry["name"] for entry in got["devices"]),
        "objects": sorted(entry["name"] for entry in got["objects"]),
        "options": {entry["option"]: sorted(p["name"] for p in entry["parameters"]) for entry in got["options"]},
        "schema": sorted(schema_paths(got["schema"])),
        "displays": _displays(got["schema"]),
        "tpm-models": got["tpm-models"],
    }


def _displays(schema: list[dict[str, Any]]) -> list[str]:
    """The kinds of `-display`: the tag of what query-display-options returns."""
    types = {entry["name"]: entry for entry in schema}
    options = types.get(types.get("query-display-options", {}).get("ret-type", ""), {})
    tags = (types.get(m["type"], {}) for m in options.get("members", ()) if m["name"] == options.get("tag"))
    return next((list(tag["values"]) for tag in tags if "values" in tag), [])


def _lean(model: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if value not in (False, [])}


async def _expand(monitor: Monitor, model: str) -> dict[str, Any] | None:
    from virtqemud.running.monitor import CommandError

    try:
        answer = await monitor.execute("query-cpu-model-expansion", {"type": "full", "model": {"name": model}})
    except CommandError:
        return None
    return dict(answer["model"]["props"])


async def _models(monitor: Monitor, cpus: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Vendor and features of each named model, versions of models left out."""
    from virtqemud.running.monitor import CommandError

    from .cpumodels import ORDER

    names = named(cpus)
    asked = (("query-cpu-model-expansion", {"type": "full", "model": {"name": name}}) for name in names)
    answers = zip(names, await monitor.batch(*asked), strict=True)
    props = {name: answer["model"]["props"] for name, answer in answers if not isinstance(answer, CommandError)}
    return {
        name: {"vendor": has.get("vendor", ""), "on": [f for f in ORDER if has.get(f) is True]}
        for name, has in props.items()
    }
