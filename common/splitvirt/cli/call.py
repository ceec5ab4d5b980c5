"""`splitvirt call`: any call of any driver by its name, with arguments and results as text.

splitvirt call domains
splitvirt call domain:demo xml flags=2
splitvirt call stats domain:demo,domain:other
splitvirt call -c network:///system network:default leases
splitvirt call --list
"""

import argparse
import asyncio
import sys
from typing import Any

from splitvirt.api.call import Call, calls
from splitvirt.api.errors import InvalidArg, VirtError
from splitvirt.api.record import ObjectWire
from splitvirt.api.wire import Many
from splitvirt.connect import Uri, connect, contract_of

EXITS = {0: "it was answered"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the subcommand takes."""
    parser.add_argument("-c", "--connect", default="qemu:///system", metavar="URI", help="which driver to call")
    parser.add_argument("-r", "--readonly", action="store_true", help="use the read-only socket")
    parser.add_argument("-l", "--list", action="store_true", help="show the calls that there are")
    parser.add_argument("words", nargs="*", metavar="WORD", help="[KIND:NAME] CALL [VALUE | PARAMETER=VALUE]...")


def run(options: argparse.Namespace) -> int:
    """Make the call and print what it answers. 0, or 1 with the error on the standard error."""
    try:
        contract = contract_of(Uri.parse(options.connect).driver)
        if options.list or not options.words:
            print("\n".join(_described(call) for call in calls(contract) if call.rpc))
        else:
            print(asyncio.run(_call(options, contract)))
    except VirtError as error:
        print(f"splitvirt: {error}", file=sys.stderr)
        return 1
    return 0


def _described(call: Call) -> str:
    target = [f"{call.on.__name__.lower()}:NAME"] if call.on_object else []
    given = [f"[{name}]" if name in call.defaults else name for name, _ in call.params[call.on_object :]]
    return f"{' '.join([*target, call.name, *given])}\n    {call.doc.splitlines()[0]}"


async def _call(options: argparse.Namespace, contract: Any) -> str:
    root = await connect(options.connect, readonly=options.readonly)
    try:
        first, *words = options.words
        target = None
        if ":" in first:
            target = await _find(root, contract, *first.split(":", 1))
            first, *words = words or ["?"]
        call = _named(contract, target, first)
        values = await _values(call, root, contract, words)
        result = await getattr(root if target is None else target, call.name)(**values)
        return "" if call.result is None else call.result.text(result)
    finally:
        await root.close()


async def _find(root: Any, contract: Any, kind: str, name: str) -> Any:
    """The object that is meant, by whatever the contract can look one up by."""
    lookups = [
        call
        for call in calls(contract)
        if call.finds and not call.on_object and len(call.params) == 1 and _kind(call) == kind.lower()
    ]
    error: VirtError = InvalidArg(f"there is no kind of object '{kind}' to look up here")
    for call in lookups:
        try:
            return await getattr(root, call.name)(call.params[0][1].parse(name))
        except VirtError as failed:
            error = failed if call is lookups[0] or not isinstance(failed, InvalidArg) else error
    raise error


def _kind(call: Call) -> str:
    assert isinstance(call.result, ObjectWire)
    return call.result.kind.__name__.lower()


def _named(contract: Any, target: Any, name: str) -> Call:
    for call in calls(contract):
        if call.name == name and call.rpc and (isinstance(target, call.on) if call.on_object else target is None):
            if call.stream:
                raise InvalidArg(f"'{name}' needs a stream of bytes, which this command does not have")
            return call
    raise InvalidArg(f"there is no call '{name}' here: --list shows what there is")


async def _values(call: Call, root: Any, contract: Any, words: list[str]) -> dict[str, Any]:
    """The arguments, from words in the order of the parameters or after their names."""
    params = dict(call.params[call.on_object :])
    free = iter(params)
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in params:
            name, text = next((one for one in free if one not in values), ""), word
        if not name:
            raise InvalidArg(f"'{call.name}' takes {', '.join(params) or 'no arguments'}; '{word}' is too much")
        kind = params[name]
        if isinstance(kind, ObjectWire):
            values[name] = await _find(root, contract, *text.partition(":")[::2])
        elif isinstance(kind, Many) and isinstance(kind.of, ObjectWire):
            values[name] = [await _find(root, contract, *one.partition(":")[::2]) for one in text.split(",") if one]
        else:
            values[name] = kind.parse(text)
    missing = [name for name in params if name not in values and name not in call.defaults]
    if missing:
        raise InvalidArg(f"'{call.name}' needs {', '.join(missing)} as well")
    return values
