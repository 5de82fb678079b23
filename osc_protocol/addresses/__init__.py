"""The table: every address that may travel, with its arguments, units, ranges and answers.

Rule 1: this package is the protocol. Decoding, encoding, checking and docs/osc.md read it; none
repeats it.
Rule 2: whatever a reply's row allows fits one datagram of 1400 bytes (audio chunks apart).
Rule 3: the first argument of everything about a job is the client's id, and comes back as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from osc_protocol.addresses import audio, jobs, live, presets, server
from osc_protocol.addresses.errors import ERROR_CODES
from osc_protocol.addresses.keys import EDIT_KEYS
from osc_protocol.rows import Address, Reply

REQUESTS_BY_SECTION: Mapping[str, tuple[Address, ...]] = {
    "Jobs": jobs.REQUESTS,
    "Takes": jobs.TAKE_REQUESTS,
    "Audio": audio.REQUESTS,
    "Live audio": live.REQUESTS,
    "Presets and models": presets.REQUESTS,
    "Server": server.REQUESTS,
}
REPLIES_BY_SECTION: Mapping[str, tuple[Reply, ...]] = {
    "Jobs": jobs.REPLIES,
    "Takes": jobs.TAKE_REPLIES,
    "Audio": audio.REPLIES,
    "Live audio": live.REPLIES,
    "Presets and models": presets.REPLIES,
    "Server": server.REPLIES,
}

ADDRESSES: Mapping[str, Address] = MappingProxyType(
    {row.path: row for rows in REQUESTS_BY_SECTION.values() for row in rows}
)
REPLIES: Mapping[str, Reply] = MappingProxyType(
    {row.path: row for rows in REPLIES_BY_SECTION.values() for row in rows}
)

__all__ = [
    "ADDRESSES",
    "EDIT_KEYS",
    "ERROR_CODES",
    "REPLIES",
    "REPLIES_BY_SECTION",
    "REQUESTS_BY_SECTION",
]
