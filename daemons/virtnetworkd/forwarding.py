"""The host's forwarding switches: turned on for the first network that needs them, turned back after the last."""

import json
import logging
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import SystemError_
from splitvirt.host import sysctl
from splitvirt.store.files import remove_durable, write_volatile
from splitvirt.xml.netaddress import IPV4
from splitvirt.xml.network import Network

from .prepare.ip import block

log = logging.getLogger(__name__)
SWITCHES = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}


class Forwarding:
    """What the switches were before we came, remembered in a file beside the networks' state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _remembered(self) -> dict[str, str]:
        try:
            text = self.path.read_text()  # json comes in only where there is something to read
            return dict(json.loads(text))
        except (OSError, ValueError):
            return {}

    def enable(self, net: Network) -> None:
        """Turn on what the network's families need. Raises VirtError."""
        if net.mode == "none":
            return
        families = {4 if block(ip)[0].family == IPV4 else 6 for ip in net.ips}
        before = self._remembered()
        for family in sorted(families):
            name = SWITCHES[family]
            now = sysctl.read(name)
            if now in ("1", None):
                continue
            before.setdefault(name, now or "0")
            write_volatile(self.path, json.dumps(before))
            try:
                sysctl.write(name, "1")
            except OSError as error:
                raise SystemError_(
                    f"failed to enable IP forwarding: {error.strerror}", domain=VIR_FROM_NETWORK
                ) from error

    def restore(self) -> None:
        """Turn back what we turned on; no network needs it any more."""
        for name, value in self._remembered().items():
            if name in SWITCHES.values():
                try:
                    sysctl.write(name, value)
                except OSError as error:
                    log.warning("cannot set %s back to %s: %s", name, value, error)
        remove_durable(self.path)
