"""Answers of ours to the cases "domain-xml" (as a driver stores a guest) and "lxc-xml" (parse and format)."""

import asyncio
from functools import cache
from typing import Any

from golden.compare import difference
from golden.shared import Case
from splitvirt.api.errors import VirtError
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.emulator.probe import Prober
from virtqemud.prepare.os import emulator


def kept(case: Case) -> str | None:
    """What is lost when libvirtd's own answer is read and written; None when it comes out as it was."""
    expected = case.answer.get("xml")
    if expected is None:
        return None
    domain = Domain.from_xml(expected)
    got = domain.to_xml(inactive=True, secure=True)
    if got == expected:
        return f"unknown: {domain.unknown[0]}" if domain.unknown else None
    lines = zip(expected.split("\n"), got.split("\n"), strict=False)
    return difference(expected, got) or next(
        f"line {i}: {a!r}, we say {b!r}" for i, (a, b) in enumerate(lines) if a != b
    )


def prepared(document: str) -> dict[str, Any]:
    """What the driver would store of a document, or its refusal."""
    from virtqemud.prepare import prepare

    try:
        domain = Domain.from_xml(document)
        prepare(domain, capabilities(domain))
        return {"xml": domain.to_xml(inactive=True, secure=True)}
    except VirtError as error:
        return {"error": [error.code, error.message]}


def judge(case: Case) -> str | None:
    """How our answer differs from libvirtd's; None when it does not."""
    return differs(case, prepared(case.input))


def differs(case: Case, got: dict[str, Any]) -> str | None:
    """How an answer differs from libvirtd's."""
    wanted = case.answer
    if "error" in wanted:
        if "error" not in got:
            return f"accepted, but libvirtd says {wanted['error']}"
        return None if list(got["error"]) == list(wanted["error"]) else f"{wanted['error']}, we say {got['error']}"
    if "error" in got:
        return f"refused: {got['error']}"
    return difference(wanted["xml"], got["xml"], case.input)


@cache
def probed(emulator: str, kvm: bool) -> Capabilities:
    return asyncio.run(Prober().get(emulator, kvm=kvm))


def capabilities(domain: Domain) -> Capabilities:
    """What the guest's emulator, or the one for its architecture, can do."""
    return probed(emulator(domain), domain.type == "kvm")
