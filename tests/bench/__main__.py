"""`python -m bench FOLDER`, from `tests/`: every benchmark, as a table and a plot in FOLDER."""

import importlib
import sys
import time
from pathlib import Path

from .table import Report

MODULES = ("start", "footprint", "rpc_rate", "network", "daemon")


def main(folder: str) -> None:
    """Run what is there; a benchmark that fails is said in the notes."""
    report = Report()
    for name in MODULES:
        if not (Path(__file__).parent / f"{name}.py").exists():
            continue
        print(f"bench: {name}", flush=True)
        began = time.monotonic()
        module = importlib.import_module(f"bench.{name}")
        report.rows += module.measure()
        report.notes += getattr(module, "NOTES", ())
        report.notes.append(f"{name}: {time.monotonic() - began:.0f} s")
    report.write(Path(folder))
    print((Path(folder) / "results.md").read_text())


if __name__ == "__main__":
    main(sys.argv[1])
