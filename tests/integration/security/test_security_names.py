"""Names that would leave the driver's folders, break its files, or make a kept guest unreadable."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import needs_qemu, tiny

import splitvirt
from splitvirt.api.errors import VirtError

pytestmark = needs_qemu
BAD = ["..", ".", "../x", "/", "a/b", "a\nb", "a\rb", "x" * 241, "é" * 200]


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as driver:
        yield driver


def files(root: Path) -> set[Path]:
    """Every file below a root."""
    return {path for path in root.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("name", BAD)
async def test_defining(hv: Any, tmp_path: Path, name: str) -> None:
    before = files(tmp_path)
    with pytest.raises(VirtError, match="name"):
        await hv.define(tiny(name.replace("\n", "&#10;").replace("\r", "&#13;")))
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", [*BAD, "a\0b", "a\x01b"])
async def test_renaming(hv: Any, tmp_path: Path, name: str) -> None:
    """A new name comes without a document around it, and must be checked no less."""
    vm = await hv.define(tiny("old"))
    before = files(tmp_path)
    with pytest.raises(VirtError, match="name"):
        await vm.rename(name)
    assert files(tmp_path) == before
    assert vm.name == "old"


@pytest.mark.parametrize("name", [" ", "a\tb", "%s", "-h", "a,b=c", "autostart", ".hidden", "x" * 240])
async def test_odd_names_that_are_only_names(hv: Any, tmp_path: Path, name: str) -> None:
    """They start, end, and survive a restart of the driver."""
    vm = await hv.define(tiny("old"))
    await vm.rename(name)
    await vm.set_autostart(1)
    await vm.set_autostart(0)
    await vm.create(1)
    await vm.destroy()
    assert (tmp_path / f"etc/libvirt/qemu/{name}.xml").is_file()
    await hv.close()
    async with splitvirt.embed(tmp_path) as again:
        assert [found.name for found in await again.domains()] == [name]
        await (await again.domain_by_name(name)).undefine()
