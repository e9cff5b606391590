"""Telling a network where stemd is, and finding it there: DNS service discovery (mDNS).

Names and addresses that come from a network are hints: who is there is proved by keys.
Source: RFC 6762, RFC 6763.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import ifaddr
from zeroconf import (
    IPVersion,
    NonUniqueNameException,
    ServiceBrowser,
    ServiceInfo,
    ServiceStateChange,
    Zeroconf,
)

from .errors import DeviceError, ProtocolError

STEMD = "_stemd._tcp.local."
OSCQUERY = "_oscjson._tcp.local."
MAX_LABEL_BYTES = 63  # of a name; RFC 1035
MAX_TEXT_BYTES = 255  # of one `key=value`
MAX_FOUND = 64  # more is not an answer but an attack
RESOLVE_MS = 1000
LOOK_S = 2.0  # an answer takes a second at most where the network is well


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be told: `properties` become the TXT record."""

    kind: str  # `STEMD` or another type
    name: str
    port: int
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A service somebody told of."""

    name: str
    address: str
    port: int
    properties: Mapping[str, str]

    @property
    def key(self) -> str:
        """Fingerprint of its public key; empty where it asks for none."""
        return self.properties.get("key", "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def host_label() -> str:
    """This machine's name without its domain."""
    return socket.gethostname().partition(".")[0] or "stemd"


def addresses_for(bound: Sequence[str]) -> tuple[str, ...]:
    """IPv4 addresses at which others reach what is bound there."""
    ours = [
        str(ip.ip)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if ip.is_IPv4 and not ipaddress.ip_address(str(ip.ip)).is_loopback
    ]
    if any(host in ("0.0.0.0", "::", "*") for host in bound):
        return tuple(sorted(set(ours)))
    return tuple(sorted({a for host in bound for a in _resolved(host) if a in ours}))


class Announcer:
    """Tells one network of services, until closed.

    Parameters
    ----------
    services : sequence of Service
    addresses : sequence of str
        Of the interfaces to tell it on, and to be reached at; not empty.

    Attributes
    ----------
    names : tuple of str
        What they are called: another name than asked for where somebody has that already.

    Raises
    ------
    DeviceError
        When the network takes no multicast, or all names are taken.

    Process:  the advertise role only. The library has threads of its own.
    """

    def __init__(self, services: Sequence[Service], addresses: Sequence[str]) -> None:
        try:
            self._zeroconf = Zeroconf(interfaces=list(addresses), ip_version=IPVersion.V4Only)
        except OSError as error:
            raise DeviceError(
                f"discovery: got {error} on {', '.join(addresses)}, expected multicast to work"
            ) from error
        names = []
        try:
            for service in services:
                info = _info(service, addresses)
                self._zeroconf.register_service(info, allow_name_change=True)
                names.append(_short(info.name, info.type))
        except (OSError, NonUniqueNameException) as error:
            self._zeroconf.close()
            raise DeviceError(f"discovery: got {error!r}, expected to be told of") from error
        self.names = tuple(names)

    def close(self) -> None:
        """Say goodbye."""
        self._zeroconf.unregister_all_services()
        self._zeroconf.close()


def find(
    kind: str = STEMD,
    timeout_s: float = LOOK_S,
    enough: Callable[[list[Found]], bool] | None = None,
) -> list[Found]:
    """Who is there.

    Parameters
    ----------
    kind : str
        Type of service.
    timeout_s : float
        How long to listen.
    enough : callable, optional
        Ends it earlier when it says so of what was found.

    Raises
    ------
    DeviceError
        When this machine has no network that takes multicast.
    """
    try:
        zeroconf = Zeroconf(ip_version=IPVersion.V4Only)
    except OSError as error:
        raise DeviceError(f"discovery: got {error}, expected a network with multicast") from error
    names: dict[str, None] = {}
    found: dict[str, Found] = {}

    def heard(name: str, state_change: ServiceStateChange, **_: Any) -> None:
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        elif len(names) < MAX_FOUND:
            names[name] = None

    deadline_s = time.monotonic() + timeout_s
    browser = ServiceBrowser(zeroconf, kind, handlers=[heard])
    try:
        while time.monotonic() < deadline_s:
            for name in [one for one in tuple(names) if one not in found]:
                info = zeroconf.get_service_info(kind, name, timeout=RESOLVE_MS)
                if info is not None and (one := _found(info)) is not None:
                    found[name] = one
            here = [one for name, one in found.items() if name in names]
            if enough is not None and enough(here):
                break
            time.sleep(0.05)
    finally:
        browser.cancel()
        zeroconf.close()
    return sorted((f for name, f in found.items() if name in names), key=lambda f: f.name)


def find_one(name: str = "", role: str = "box", timeout_s: float = LOOK_S) -> Found:
    """The one box there is, or the one of that name.

    Raises
    ------
    ProtocolError
        When there is none, or more than one to choose from.
    DeviceError
        When this machine has no network that takes multicast.
    """
    here = [f for f in find(timeout_s=timeout_s) if f.properties.get("role") == role]
    meant = [f for f in here if not name or name in (f.name, f.address)]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(f"{f.name} ({f.address})" for f in here) or "nobody"
    raise ProtocolError(f"discovery: got {names} in {timeout_s:g} s, expected one {name or role}")


def _info(service: Service, addresses: Sequence[str]) -> ServiceInfo:
    name = _cut(service.name.replace(".", " "), MAX_LABEL_BYTES)
    return ServiceInfo(
        service.kind,
        f"{name}.{service.kind}",
        port=service.port,
        addresses=[socket.inet_aton(address) for address in addresses],
        properties={
            key: _cut(value, MAX_TEXT_BYTES - len(key) - 1)
            for key, value in service.properties.items()
        },
        # A name of our own, and of nobody else: the machine's may have a responder already, and
        # machines made from one image share theirs: one would be sent to where the other is.
        server=f"{_cut(host_label(), MAX_LABEL_BYTES - 9)}-{secrets.token_hex(4)}.local.",
    )


def _found(info: ServiceInfo) -> Found | None:
    """What a foreign record says, with nothing in it that moves a terminal's cursor."""
    addresses = info.parsed_addresses(IPVersion.V4Only)
    if not addresses or not info.port:
        return None
    properties = {_clean(k): _clean(v or "") for k, v in info.decoded_properties.items()}
    return Found(_clean(_short(info.name, info.type)), _nearest(addresses), info.port, properties)


def _nearest(addresses: Sequence[str]) -> str:
    """Of a machine's addresses, which come in any order, one in a network that we are in too."""
    ours = [
        ipaddress.ip_interface(f"{ip.ip}/{ip.network_prefix}")
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if ip.is_IPv4
    ]
    own = {str(interface.ip) for interface in ours}
    for address in addresses:
        # Containers' networks are alike on all machines: an address there may be our own.
        near = any(ipaddress.ip_address(address) in interface.network for interface in ours)
        if near and address not in own:
            return address
    return addresses[0]


def _short(name: str, kind: str) -> str:
    return name.removesuffix(f".{kind}")


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _cut(text: str, n_bytes: int) -> str:
    return text.encode()[:n_bytes].decode("utf-8", "ignore")


def _resolved(host: str) -> list[str]:
    try:
        return [str(a[4][0]) for a in socket.getaddrinfo(host, None, socket.AF_INET)]
    except OSError:
        return []
