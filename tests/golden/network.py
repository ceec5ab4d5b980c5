"""Answers of ours to the cases "network-xml" (a network as stored) and "network-conf" (what dnsmasq is told)."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from golden.compare import difference
from golden.shared import Case
from splitvirt.api.errors import VirtError
from splitvirt.xml.network import Network
from virtnetworkd import dnsmasq
from virtnetworkd.prepare import read
from virtnetworkd.prepare.place import place

STARTS = re.compile(r"internal error: Child process \(.*\) unexpected exit status \d+: ")
"""What only a start of dnsmasq itself can answer."""


def defined(document: str) -> Network:
    """The network as the driver would store it."""
    net = read(document)
    place(net, ())
    return net


def judge(case: Case) -> str | None:
    """How our stored network, or refusal, differs from libvirtd's; None when it does not."""
    wanted = case.answer
    try:
        got: dict[str, Any] = {"xml": defined(case.input).to_xml(inactive=True)}
    except VirtError as error:
        got = {"error": [error.code, error.message]}
    if "error" in wanted or "error" in got:
        same = list(wanted.get("error", ())) == list(got.get("error", ()))
        return None if same else f"{wanted.get('error', 'accepted')}, we say {got.get('error', 'accepted')}"
    return difference(wanted["xml"], got["xml"], case.input)


def served(case: Case) -> str | None:
    """How what we tell dnsmasq differs from what libvirtd tells it: the files as sets of lines."""
    wanted = case.answer
    try:
        net = defined(case.input)
        files = dnsmasq.Files(net.name or "", Path("/var/lib/libvirt/dnsmasq"), Path("/run/libvirt/network"))
        got: dict[str, Any] = {
            "conf": dnsmasq.configuration(net, files),
            "hostsfile": dnsmasq.kept_hosts(net),
            "addnhosts": dnsmasq.host_names(net),
        }
    except VirtError as error:
        got = {"error": [error.code, error.message]}
    if "error" in wanted:
        if STARTS.match(wanted["error"][1]):
            return None if "conf" in got else f"dnsmasq refuses it, we say {got['error']}"
        return None if list(wanted["error"]) == list(got.get("error", ())) else f"{wanted['error']}, we say {got}"
    for name in ("conf", "hostsfile", "addnhosts"):
        if name in wanted:
            missing, extra = (
                lines(wanted[name]) - lines(got.get(name, "")),
                lines(got.get(name, "")) - lines(wanted[name]),
            )
            if missing or extra:
                return f"{name}: missing {sorted(missing)}, not wanted {sorted(extra)}"
    return None


def lines(text: str) -> Counter[str]:
    """The directives of a file."""
    return Counter(line for line in text.splitlines() if line and not line.startswith("##"))
