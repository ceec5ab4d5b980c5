"""Our own golden cases, in `cases/`.

* `domain/NAME.in.xml` is what a user wrote, `NAME.out.xml` what the driver stores (or `NAME.error`: code and message),
  `NAME.args` the command line, one option a line, of a guest that can be started.
* `format/NAME.xml` comes out as it went in: running guests, other hypervisors and machines.

`python -m golden.cases --regenerate` writes the outputs anew; read the difference before you commit it.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from golden.domain_xml import prepared
from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element
from splitvirt.xml.sysinfo import SmbiosInfo

FOLDER = Path(__file__).parent / "cases"
HOST_BOUND = frozenset({"firmware-auto", "clock-variable"})
"""Guests whose command lines depend on what the host has installed, or on the time."""
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
    """The command line, one option a line; "" where the guest is refused."""
    from golden.argv import answer

    line = answer(given(name)).get("argv", "")
    return re.sub(r" (?=-[a-z]|-S)", "\n", line) + "\n" if line else ""


def expected_arguments(name: str) -> str:
    """The command line that is written down; "" where there is none."""
    path = FOLDER / "domain" / f"{name}.args"
    return path.read_text() if path.exists() else ""


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
        for old in ("out.xml", "error", "args"):
            (FOLDER / "domain" / f"{name}.{old}").unlink(missing_ok=True)
        (FOLDER / "domain" / f"{name}.{suffix}").write_text(text)
        line = arguments(name)
        if line and name not in HOST_BOUND:
            (FOLDER / "domain" / f"{name}.args").write_text(line)
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
