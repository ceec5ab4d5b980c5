"""The installed libvirtd as a judge of our own cases.

This file is also the program that asks it: Debian has libvirt's bindings for its own Python only, so it runs itself
there with the socket as argument, reads documents as JSON from stdin and writes the answers as JSON.
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


def ask(socket: str, documents: list[str]) -> list[dict[str, Any]]:
    """What libvirtd stores of each document ({"xml": ...}), or how it refuses it ({"error": [code, message]})."""
    run = subprocess.run(
        [PYTHON, __file__, socket],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers


def main() -> None:
    """Define, print and undefine each document of stdin."""
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open(f"qemu+unix:///system?socket={sys.argv[1]}")
    answers: list[dict[str, Any]] = []
    for document in json.load(sys.stdin):
        try:
            domain = connection.defineXMLFlags(document, 0)
            answers.append({"xml": domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)})
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError as error:
            answers.append({"error": [error.get_error_code(), error.get_error_message()]})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
