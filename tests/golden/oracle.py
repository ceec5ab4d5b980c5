"""The installed libvirtd as a judge of our own cases.

This file is also the program that asks it: Debian has libvirt's bindings for its own Python only, so it runs itself
there with the socket as argument, reads documents as JSON from stdin and writes a line of JSON for each answer.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PYTHON = Path("/usr/bin/python3")
DEADLINE = 120.0
"""Seconds for all documents of one call."""


def available() -> bool:
    """Whether Debian's Python has the bindings."""
    asked = [str(PYTHON), "-c", "import libvirt"]
    return PYTHON.exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0


def ask(documents: list[str]) -> list[dict[str, Any]]:
    """What a private libvirtd stores of each document ({"xml": ...}), or how it refuses it ({"error": [code, text]}).

    libvirtd 9.0 corrupts its memory on some documents and dies of it then or later; a fresh one is asked what the
    dead one has left unanswered. AssertionError when three in a row die without having answered anything.
    """
    answers: list[dict[str, Any]] = []
    last_words: list[str] = []
    while len(answers) < len(documents):
        more, said = _asked(documents[len(answers) :])
        answers += more
        last_words = [] if more else [*last_words, said]
        assert len(last_words) < 3, "\n".join(last_words)
    return answers


def _asked(documents: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The answers of one libvirtd, as far as it lived to give them, and what it said beside them."""
    from support.libvirtd import private_libvirtd

    with private_libvirtd() as socket:
        argv = [str(PYTHON), __file__, socket]
        run = subprocess.run(
            argv, input=json.dumps(documents), capture_output=True, text=True, check=False, timeout=DEADLINE
        )
        said = f"{run.stderr}\nlibvirtd's log:\n{Path(socket).with_name('log').read_text()}"
    return [json.loads(line) for line in run.stdout.splitlines()], said


def main() -> None:
    """Define, print and undefine each document of stdin; a line of JSON for each, as long as libvirtd lives."""
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open(f"qemu+unix:///system?socket={sys.argv[1]}")
    for document in json.load(sys.stdin):
        answer = verdict(connection, document)
        if not connection.isAlive():
            break
        print(json.dumps(answer), flush=True)


def verdict(connection: Any, document: str) -> dict[str, Any]:
    """What the connection's libvirtd makes of one document."""
    import libvirt

    try:
        domain = connection.defineXMLFlags(document, 0)
        xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    except libvirt.libvirtError as error:
        return {"error": [error.get_error_code(), error.get_error_message()]}
    return {"xml": xml}


if __name__ == "__main__":
    main()
