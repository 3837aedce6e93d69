"""Which names a server answers to: another site whose name is turned to this machine's address is not served.

A browser keeps sites apart by name. A site that first gives its own address for its name and then this server's would
else be asked in its own name, and could read what it is answered (DNS rebinding). The name stands in ``Host``, which
browsers let no page change; what a proxy says beside it (``X-Forwarded-Host``, ``Forwarded``) is never asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from percuss.core.errors import UsageError

#: Ports that browsers leave out, of http and of https.
_UNSAID = (80, 443)
_FORM = re.compile(r"(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])\.?(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Host:
    """A name, or an address as text in its usual form, and a port; None is any port."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


@dataclass(frozen=True)
class Hosts:
    """What ``Host`` may say.

    Attributes:
        port: at which this machine is served; None is any. ``localhost`` and its loopback addresses are always taken.
        named: further names and addresses.
        everywhere: the server listens at every address of the machine: any address is taken, with any port. An address
            in ``Host`` is one that was typed, so it cannot be another site's name.
    """

    port: int | None = None
    named: tuple[Host, ...] = ()
    everywhere: bool = False

    def take(self, said: str) -> bool:
        """Whether a request for this host is answered."""
        found = _parsed(said)
        if found is None:
            return False
        address = _address(found.name)
        if address is not None and self.everywhere:
            return True
        near = found.name == "localhost" or (address is not None and address.is_loopback)
        taken = [host.port for host in self.named if host.name == found.name] + [self.port] * near
        return any(port is None or port == found.port or (found.port is None and port in _UNSAID) for port in taken)

    def __str__(self) -> str:
        """For people: every name that is taken."""
        near = ["localhost"] if self.everywhere else ["localhost", "127.0.0.1", "::1"]
        own = [str(Host(name, self.port)) for name in near] + ["any IP address"] * self.everywhere
        return ", ".join(dict.fromkeys([*own, *map(str, self.named)]))


def hosts_of(host: str, port: int, *, bound: str, allowed: tuple[str, ...] = ()) -> Hosts:
    """What a server answers to.

    Args:
        host: where it was told to listen.
        port: at which it listens.
        bound: the address at which it listens.
        allowed: further names, each NAME or NAME:PORT; without a port any is taken, which is the proxy's or tunnel's.

    Raises:
        UsageError: one of ``allowed`` is no name or address of a host.
    """
    everywhere = ip_address(bound.partition("%")[0]).is_unspecified
    told = _parsed(f"[{host}]" if ":" in host else host)
    own = () if everywhere or told is None else (Host(told.name, port),)
    return Hosts(port, (*own, *map(_checked, allowed)), everywhere)


def _checked(text: str) -> Host:
    found = _parsed(f"[{text}]" if text.count(":") > 1 and "[" not in text else text)
    if found is None:
        raise UsageError(
            "this is no name of a host",
            value=text,
            allowed="NAME or NAME:PORT, such as reading.example.org: letters, digits, dashes and dots, no * and no /",
            next_step="give --allow-host the name that readers type, without http:// and path",
        )
    return found


def _parsed(text: str) -> Host | None:
    """A host in small letters, its address in one form; None where the text is none."""
    found = _FORM.fullmatch(text.lower())
    if found is None or int(found["port"] or 0) > 65535:
        return None
    name = found["name"].strip("[]")
    address = _address(name)
    if found["name"].startswith("[") and not isinstance(address, IPv6Address):
        return None
    return Host(str(address) if address else name, int(found["port"]) if found["port"] else None)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
