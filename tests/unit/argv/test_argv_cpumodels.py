"""The nearest named CPU model: made-up emulators, so that the answers are the same everywhere."""

from typing import Any

import pytest
from support.argvcaps import FACTS

from splitvirt.api.errors import CPUIncompatible
from splitvirt.xml.cpu import Cpu
from splitvirt.xml.domain import Domain
from virtqemud.argv.context import Context
from virtqemud.argv.machine import cpu
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.emulator.cpumodels import ORDER, features, host_model, in_order, nearest

OLD = ["fpu", "sse", "sse2", "lm"]
MODELS: dict[str, dict[str, Any]] = {
    "kvm64": {"vendor": "GenuineIntel", "on": OLD},
    "Haswell": {"vendor": "GenuineIntel", "on": [*OLD, "avx", "avx2", "arat"]},
    "Opteron_G3": {"vendor": "AuthenticAMD", "on": [*OLD, "monitor", "svm"]},
    "EPYC": {"vendor": "AuthenticAMD", "on": [*OLD, "svm", "monitor", "avx", "avx2", "npt", "rdseed"]},
}


def made(*on: str, vendor: str = "AuthenticAMD", family: int = 15, number: int = 1) -> Capabilities:
    """An emulator that offers some features."""
    expansion = dict.fromkeys(ORDER, False) | dict.fromkeys(on, True)
    named: list[dict[str, Any]] = [{"name": name} for name in MODELS] + [{"name": "max"}]
    named[3] = {"name": "EPYC", "unavailable-features": ["rdseed", "topoext"]}
    facts: dict[str, Any] = FACTS | {
        "arch": "x86_64",
        "models": MODELS,
        "cpus": {"tcg": named},
        "expansions": {"tcg": expansion | {"vendor": vendor, "family": family, "model": number}},
    }
    return Capabilities(facts)


def test_the_fewest_differences_decide() -> None:
    found = host_model(made(*OLD, "svm", "avx", "avx2", "vme", "aes"), "tcg")
    assert found is not None
    assert (found.name, found.vendor) == ("EPYC", "AMD")
    assert found.on == ("aes", "hypervisor")
    assert found.off == ("rdseed", "topoext")  # what the model would bring and the emulator has not


def test_other_makers_models_are_not_taken_but_nobodys_are() -> None:
    intel = host_model(made(*OLD, "avx", "avx2", vendor="GenuineIntel"), "tcg")
    assert intel is not None
    assert intel.name == "Haswell"
    plain = host_model(made(*OLD), "tcg")
    assert plain is not None
    assert plain.name == "kvm64"


def test_the_same_processor_comes_first() -> None:
    found = host_model(made(*OLD, family=23, number=1), "tcg")
    assert found is not None
    assert found.name == "EPYC"
    assert {"svm", "avx", "avx2"} <= set(found.off)


def test_a_host_has_all_of_its_model() -> None:
    caps = made(*OLD)
    have = frozenset([*OLD, "vme", "avx"])
    assert nearest(caps, have, "AuthenticAMD", (23, 1), whole=True) == "kvm64"


def test_models_are_libvirts() -> None:
    caps = made()
    assert features(caps, "Haswell") == {*OLD, "avx", "avx2"}  # arat came later to QEMU's
    assert features(caps, "EPYC") == {*OLD, "svm", "avx", "avx2", "rdseed", "vme"}  # npt is QEMU's, monitor was removed
    assert in_order({"svm", "fpu", "avx2", "pni"}) == ("fpu", "pni", "avx2", "svm")


def context(found: Cpu, caps: Capabilities) -> Context:
    return Context(Domain(type="qemu", name="g", cpu=found), caps, "/lib")


def test_host_model_on_the_command_line() -> None:
    guest = context(Cpu(mode="host-model"), made(*OLD, "svm", "avx", "avx2", "vme"))
    assert cpu.model(guest) == ["EPYC", "hypervisor=on", "rdseed=off", "topoext=off"]


def test_a_minimum_that_is_not_there_is_refused() -> None:
    guest = context(Cpu(mode="custom", match="minimum", model="EPYC", verify="none"), made(*OLD, "avx", "vme"))
    with pytest.raises(CPUIncompatible, match="does not provide required features: avx2, rdseed, svm"):
        cpu.check_host(guest.domain.cpu, guest)  # type: ignore[arg-type]
    guest.domain.cpu = Cpu(mode="custom", match="minimum", model="Haswell", vendor="Intel")
    with pytest.raises(CPUIncompatible, match="host CPU vendor does not match required CPU vendor Intel"):
        cpu.check_host(guest.domain.cpu, guest)


def test_nobody_knows_what_an_old_emulator_offers() -> None:
    assert host_model(Capabilities(FACTS), "tcg") is None
