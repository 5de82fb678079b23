"""Zeroconf: programs on the network find the server as `_oscjson._tcp` and `_osc._udp`.

Needs the package zeroconf (extra [discovery]). A server that only its own machine can reach is
announced on request only, and then on the loopback interface alone: nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING

from osc_protocol import is_loopback

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf


log = logging.getLogger(__name__)

OSCQUERY, OSC = "_oscjson._tcp.local.", "_osc._udp.local."
LOOK_SECONDS = 1.0  # for the names of others, who answer within 120 ms
MAX_NAME_CHARACTERS = 40  # of the machine's; a label of DNS has 63 bytes


class Announcement:
    """The announcement of one server. Belongs to the loop's thread.

    `bind_host`: the address that it listens on; a port of 0 is not announced.
    """

    def __init__(self, bind_host: str, port: int, http_port: int) -> None:
        self._bind_host, self._ports = bind_host, {OSCQUERY: http_port, OSC: port}
        self.services: list[str] = []  # that are announced
        self._zeroconf: AsyncZeroconf | None = None
        machine = socket.gethostname().partition(".")[0][:MAX_NAME_CHARACTERS] or "here"
        self.name = f"retimbre on {machine}"
        self.host = f"{machine}-retimbre.local"

    async def open(self) -> None:
        """Announce. A failure is logged only: the server can still be reached."""
        try:
            from zeroconf import Error
            from zeroconf.asyncio import AsyncZeroconf
        except ImportError:
            log.warning(
                "not announced: the package zeroconf is missing; pip install 'retimbre[discovery]'"
            )
            return
        try:
            interfaces = await asyncio.to_thread(_interfaces, self._bind_host)
            self._zeroconf = AsyncZeroconf(interfaces=interfaces)
            await self._look_for_others()
            for service in self._services(interfaces):
                await (await self._zeroconf.async_register_service(service, allow_name_change=True))
                self.services.append(service.name)  # with a number when the name was taken
                log.info("announced", extra={"said": f"{service.name} on {', '.join(interfaces)}"})
        except (OSError, Error) as error:
            log.warning("not announced", extra={"reason": error or type(error).__name__})

    async def _look_for_others(self) -> None:
        """Hear which names are taken; registering then chooses another one.

        Registering asks by itself, but wants answers by unicast. Of several programs that share the
        port on one machine, the system gives such an answer to any one of them.
        """
        from zeroconf import DNSQuestionType
        from zeroconf.asyncio import AsyncServiceBrowser

        assert self._zeroconf
        browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf,
            list(self._ports),
            handlers=[lambda **_: None],
            question_type=DNSQuestionType.QM,
        )
        try:
            await asyncio.sleep(LOOK_SECONDS)
        finally:
            await browser.async_cancel()

    async def close(self) -> None:
        """Say goodbye."""
        if self._zeroconf:
            with contextlib.suppress(OSError):  # the network has gone
                await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()

    def _services(self, addresses: list[str]) -> list[ServiceInfo]:
        from zeroconf import ServiceInfo

        return [
            ServiceInfo(
                kind,
                f"{self.name}.{kind}",
                port,
                server=f"{self.host}.",
                properties={"txtvers": "1"},
                parsed_addresses=addresses,
            )
            for kind, port in self._ports.items()
            if port
        ]


def is_wanted(choice: str, host: str) -> bool:
    """Whether --announce says so: auto means where others could reach the server."""
    return choice == "always" or (choice == "auto" and not is_loopback(host))


def _interfaces(host: str) -> list[str]:
    """The addresses under which the server can be reached.

    Asks a name server when `host` is a name.
    """
    import ifaddr

    if is_loopback(host):
        return ["127.0.0.1"]
    if not _is_any(host):
        return sorted(
            {
                str(each[4][0])
                for each in socket.getaddrinfo(host, 0, socket.AF_INET, socket.SOCK_DGRAM)
            }
        )
    found = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [address for address in found if not is_loopback(address)] or ["127.0.0.1"]


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
