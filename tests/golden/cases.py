"""Our own golden cases, in `cases/`.

* `domain/NAME.in.xml` is what a user wrote, `NAME.out.xml` what the driver stores (or `NAME.error`: code and message),
  `NAME.args` the command line, one argument a line, of a guest that can be started.
* `format/NAME.xml` comes out as it went in: running guests, other hypervisors and machines.

`python -m golden.cases --regenerate` writes the outputs anew; read the difference before you commit it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from golden.domain_xml import capabilities, prepared
from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element
from splitvirt.xml.sysinfo import SmbiosInfo

FOLDER = Path(__file__).parent / "cases"
ROOTS: dict[str, type[Element]] = {"domain": Domain, "sysinfo": SmbiosInfo}


def names(kind: str = "domain") -> list[str]:
    """All cases of a kind."""
    return sorted(path.name.split(".")[0] for path in (FOLDER / kind).glob("*.in.xml" if kind == "domain" else "*.xml"))


def given(name: str) -> str:
    """What a user wrote."""
    return (FOLDER / "domain" / f"{name}.in.xml").read_text()


def expected(name: str) -> str:
    """What the driver answers: the XML, or "code message"."""
    for suffix in ("out.xml", "error"):
        path = FOLDER / "domain" / f"{name}.{suffix}"
        if path.exists():
            return path.read_text()
    return ""


def answered(name: str) -> tuple[str, str]:
    """What the driver answers now, and the suffix of the file for it."""
    answer = prepared(given(name))
    if "xml" in answer:
        return str(answer["xml"]), "out.xml"
    code, message = answer["error"]
    return f"{code} {message}\n", "error"


def arguments(name: str) -> str:
    """The command line, one argument a line; "" where the guest is refused."""
    from virtqemud.native import command_line

    answer = prepared(given(name))
    if "error" in answer:
        return ""
    return command_line(given(name), capabilities, "/var/lib/libvirt/qemu").rstrip().replace(" -", "\n-") + "\n"


def formats() -> Iterator[tuple[str, str, type[Element]]]:
    """Name, text and class of the documents that come out as they went in."""
    for path in sorted((FOLDER / "format").glob("*.xml")):
        text = path.read_text()
        yield path.stem, text, ROOTS[text[1:].split(maxsplit=1)[0].rstrip(">")]


def regenerate() -> list[str]:
    """Write every output anew; the names of those that changed."""
    changed = []
    for name in names():
        text, suffix = answered(name)
        if text != expected(name):
            changed.append(name)
        for old in ("out.xml", "error"):
            (FOLDER / "domain" / f"{name}.{old}").unlink(missing_ok=True)
        (FOLDER / "domain" / f"{name}.{suffix}").write_text(text)
    return changed


def main() -> int:
    """List the cases that differ from what is written down, or write them anew."""
    parser = argparse.ArgumentParser(description="our own golden cases")
    parser.add_argument("--regenerate", action="store_true", help="write the outputs anew")
    if parser.parse_args().regenerate:
        print("changed:", *regenerate(), sep="\n  ")
        return 0
    wrong = [name for name in names() if answered(name)[0] != expected(name)]
    print("different:", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
