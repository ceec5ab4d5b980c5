"""Figures and addresses of a guest's network cards."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.domain_device import InterfaceAddresses, InterfaceStats, IPAddress
from splitvirt.api.errors import ArgumentUnsupported, InternalError, InvalidArg
from splitvirt.host import usage
from splitvirt.xml.devices.interface import Interface
from virtqemud import devicelist
from virtqemud.flags import only

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU


class Interfaces(DomainBase):
    """Network cards."""

    def find_card(self, name: str) -> Interface:
        """The card of that host device or MAC address. InvalidArg where there is none."""
        for card in devicelist.of(self.current, Interface):
            if name == card.target_dev or name.lower() == (card.mac or "").lower():
                return card
        raise InvalidArg(f"'{name}' is not a known interface", domain=c.VIR_FROM_DOMAIN)

    async def interface_stats(self, device: str) -> InterfaceStats:
        """What went through, seen from the guest."""
        self.running()
        card = self.find_card(device)
        if card.target_dev is None:
            raise InternalError("Interface name not provided", domain=QEMU)
        counters = usage.interface_counters(card.target_dev)
        if counters is None:
            raise InternalError(f"interface stats not available for {device}", domain=QEMU)
        keys = [f"{way}_{what}" for way in ("tx", "rx") for what in ("bytes", "packets", "errs", "drop")]
        return InterfaceStats(*(counters[key] for key in keys))

    async def interface_addresses(self, source: int, flags: int = 0) -> list[InterfaceAddresses]:
        """Addresses, as the networks leased them or the agent tells."""
        only(flags, 0, "qemuDomainInterfaceAddresses")
        self.running()
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT:
            return [_from_agent(card) for card in await self.ask_agent("guest-network-get-interfaces")]
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE:
            return await self._leases()
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP:
            return self._neighbours()
        raise ArgumentUnsupported(f"Unknown IP address data source {source}", domain=QEMU)

    async def _leases(self) -> list[InterfaceAddresses]:
        found: list[InterfaceAddresses] = []
        networks = self.driver.networks
        for card in devicelist.of(self.current, Interface):
            if card.type != "network" or networks is None or not card.network:
                continue
            network = await networks.network_by_name(card.network)
            leases = await network.leases(card.mac)
            addresses = [IPAddress(lease.type, lease.address, lease.prefix) for lease in leases]
            if addresses:
                found.append(InterfaceAddresses(card.target_dev or "", card.mac, addresses))
        return found

    def _neighbours(self) -> list[InterfaceAddresses]:
        from pathlib import Path

        table: dict[str, list[str]] = {}
        for line in Path("/proc/net/arp").read_text().splitlines()[1:]:
            words = line.split()
            table.setdefault(words[3].lower(), []).append(words[0])
        return [
            InterfaceAddresses(card.target_dev or "", card.mac, [IPAddress(0, a, 0) for a in table[card.mac.lower()]])
            for card in devicelist.of(self.current, Interface)
            if card.mac and card.mac.lower() in table
        ]


def _from_agent(card: dict[str, Any]) -> InterfaceAddresses:
    kinds = {"ipv4": c.VIR_IP_ADDR_TYPE_IPV4, "ipv6": c.VIR_IP_ADDR_TYPE_IPV6}
    addresses = [
        IPAddress(kinds[a["ip-address-type"]], a["ip-address"], a["prefix"]) for a in card.get("ip-addresses", ())
    ]
    return InterfaceAddresses(card["name"], card.get("hardware-address"), addresses)
