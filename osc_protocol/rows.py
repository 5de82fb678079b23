"""What a row of the table is made of: Arg, Address (client to server), Reply (server to client)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ROOT = "/retimbre"
NAME_BYTES = 64  # ids, names, codes: the limit of every string that states no other


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()  # the default of an argument that has none


@dataclass(frozen=True)
class Arg:
    """One argument.

    `type`: i, f, s, b as in OSC; id (integer or string, echoed as it came); any (kept as it came).
    """

    name: str
    type: str
    unit: str = ""
    low: float | None = None
    high: float | None = None  # of a string or blob: most bytes, see limit_bytes
    choices: tuple[str, ...] = ()
    default: Any = REQUIRED
    help: str = ""
    # takes all that is left, at most so many: words are joined, others make a tuple
    rest: int = 0
    # we shorten a longer string when we send it; without it, that is an error
    clip: bool = False

    @property
    def limit_bytes(self) -> int:
        """Most bytes of a string (as UTF-8) or blob here."""
        return NAME_BYTES if self.high is None else int(self.high)


def by_name(args: Iterable[Arg]) -> Mapping[str, Arg]:
    """A read-only mapping of arguments by their names."""
    return MappingProxyType({arg.name: arg for arg in args})


@dataclass(frozen=True)
class Address:
    """What a client may send, and how it is answered."""

    name: str
    help: str = ""
    args: tuple[Arg, ...] = ()
    # optional key/value pairs after the arguments
    keys: Mapping[str, Arg] = field(default_factory=dict)
    replies: tuple[str, ...] = ()
    # what its /done carries after command and id; None: it has no /done
    done: tuple[Arg, ...] | None = None
    # losing one matters (OSCQuery's word): a client should resend or use TCP
    critical: bool = False
    loopback_only: bool = False

    @property
    def path(self) -> str:
        """The full address, as `/retimbre/edit`."""
        return f"{ROOT}/{self.name}"


@dataclass(frozen=True)
class Reply:
    """What the server may send."""

    name: str
    help: str = ""
    args: tuple[Arg, ...] = ()

    @property
    def path(self) -> str:
        """The full address, as `/retimbre/ack`."""
        return f"{ROOT}/{self.name}"
