"""How much of libvirtd's behaviour we have: `python -m golden.score KIND [--case NAME] [--kind roundtrip]`.

KIND is domain-xml, lxc-xml, kept (libvirtd's answers of both, read and written back), domain-argv, network-xml or
network-conf.
"""

import argparse
import importlib
import logging
from collections import Counter
from collections.abc import Callable

from golden.shared import Case, load

JUDGES = {
    "domain-xml": ("golden.domain_xml", "judge", ("domain-xml",)),
    "lxc-xml": ("golden.domain_xml", "kept", ("lxc-xml",)),
    "kept": ("golden.domain_xml", "kept", ("domain-xml", "lxc-xml")),
    "domain-argv": ("golden.argv", "judge", ("domain-argv",)),
    "network-xml": ("golden.network", "judge", ("network-xml",)),
    "network-conf": ("golden.network", "served", ("network-conf",)),
}
"""Kind: module and function that judge one case (None when it is right), and the files of cases."""


def failures(kind: str, chosen: Callable[[Case], bool] = lambda case: True) -> tuple[list[tuple[Case, str]], int]:
    """Cases of a kind that fail, each with its first difference, and the number of cases judged."""
    module, function, files = JUDGES[kind]
    judge: Callable[[Case], str | None] = getattr(importlib.import_module(module), function)
    cases = [case for file in files for case in load(file) if chosen(case)]
    failed = [(case, verdict) for case in cases if (verdict := attempt(judge, case)) is not None]
    return failed, len(cases)


def attempt(judge: Callable[[Case], str | None], case: Case) -> str | None:
    """The verdict; a crash of ours is one too."""
    try:
        return judge(case)
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        return f"CRASH {type(error).__name__}: {error}{place}"


def main() -> int:
    """Print failing cases and the score; exit status 1 when any fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=JUDGES)
    parser.add_argument("--case", help="only cases whose name contains this")
    parser.add_argument("--kind", help="only this kind of case: roundtrip, accept, refuse")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    failed, total = failures(
        args.what, lambda c: (not args.case or args.case in c.name) and (not args.kind or c.kind == args.kind)
    )
    for case, verdict in failed:
        print(f"{case.name} ({case.kind}): {verdict}")
    kinds = Counter(case.kind for case, _ in failed)
    print(f"{args.what}: {total - len(failed)} of {total}; failed by kind: {dict(kinds)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
