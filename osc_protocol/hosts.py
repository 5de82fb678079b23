"""Which addresses are the machine's own? Both sides decide by it what a message may ask for."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host` can be reached from its own machine only.

    An address, with or without an IPv6 zone, or the name localhost; any other name is none.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
