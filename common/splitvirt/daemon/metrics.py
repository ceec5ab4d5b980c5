"""OpenMetrics on a UNIX socket, `<daemon>-metrics-sock`: `curl --unix-socket PATH http://localhost/metrics`."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from splitvirt.daemon.report import census, memory
from splitvirt.rpc.limits import BOUNDS, Count

if TYPE_CHECKING:
    from splitvirt.daemon.life import Daemon

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_DEADLINE = 10.0


class Metrics:
    """Answers scrapes. Nothing is computed before somebody asks."""

    def __init__(self, daemon: "Daemon"):
        self.daemon = daemon

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one HTTP request of one connection: for /metrics, or / where somebody looks around."""
        try:
            async with asyncio.timeout(_DEADLINE):
                method, path, *_ = [*(await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].split(b" "), b""]
                status, body = "404 Not Found", b""
                if method not in (b"GET", b"HEAD"):
                    status = "405 Method Not Allowed\r\nAllow: GET, HEAD"
                elif path.partition(b"?")[0] in (b"/", b"/metrics"):
                    status, body = "200 OK", (await self.text()).encode()
                head = f"HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode() + (b"" if method == b"HEAD" else body))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def text(self) -> str:
        """The whole exposition."""
        objects = await census(self.daemon.service.contract, self.daemon.driver)
        return "\n".join([*self._lines(objects), "# EOF", ""])

    def _lines(self, objects: dict[tuple[str, str], int]) -> Iterator[str]:
        daemon, servers = self.daemon, self.daemon.servers
        used = memory()
        yield from gauge("splitvirt_up_seconds", "seconds", "Time since the daemon started.",
                         [("", time.monotonic() - daemon.started)])  # fmt: skip
        yield from gauge("splitvirt_memory_bytes", "bytes", "Memory of the daemon.",
                         [('{of="rss"}', used.rss), ('{of="pss"}', used.pss)])  # fmt: skip
        by_state: list[tuple[str, float]] = [
            (f'{{kind="{kind}",state="{state}"}}', n) for (kind, state), n in objects.items()
        ]
        yield from gauge("splitvirt_objects", "", "Objects by kind and state.", by_state)
        for name, help_text, read in (
            ("clients", "Connected clients.", lambda server: len(server.peers)),
            ("calls_running", "Calls under way.", lambda server: server.running),
            ("calls_queued", "Calls that wait for their turn.", lambda server: server.queued),
        ):
            found = [(f'{{server="{server.name}"}}', read(server)) for server in servers.values()]
            yield from gauge(f"splitvirt_{name}", "", help_text, found)
        yield from self._calls([count for server in servers.values() for count in server.counts()])

    def _calls(self, counts: Iterable[Count]) -> Iterator[str]:
        over_bus = list(self.daemon.on_bus.counts.values())
        fronts = [("rpc", count) for count in counts] + [("dbus", count) for count in over_bus]
        yield "# TYPE splitvirt_call_seconds histogram"
        yield "# UNIT splitvirt_call_seconds seconds"
        yield "# HELP splitvirt_call_seconds How long calls took, by name and front end."
        for front, count in fronts:
            yield from _histogram(f'front="{front}",call="{count.name}"', count)
        yield "# TYPE splitvirt_call_errors counter"
        yield "# HELP splitvirt_call_errors Calls that ended with an error."
        for front, count in fronts:
            yield f'splitvirt_call_errors_total{{front="{front}",call="{count.name}"}} {count.errors}'


def gauge(name: str, unit: str, text: str, values: list[tuple[str, float]]) -> Iterator[str]:
    """One gauge with its values by label."""
    yield f"# TYPE {name} gauge"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {text}"
    for labels, value in values:
        yield f"{name}{labels} {value:g}" if isinstance(value, float) else f"{name}{labels} {value}"


def _histogram(labels: str, count: Count) -> Iterator[str]:
    seen = 0
    for bound, bucket in zip((*BOUNDS, None), count.buckets, strict=True):
        seen += bucket
        yield f'splitvirt_call_seconds_bucket{{{labels},le="{"+Inf" if bound is None else float(bound)}"}} {seen}'
    yield f"splitvirt_call_seconds_count{{{labels}}} {count.total}"
    yield f"splitvirt_call_seconds_sum{{{labels}}} {count.seconds:.9g}"
