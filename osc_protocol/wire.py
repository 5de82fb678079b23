"""OSC bytes to atoms and back.

Knows nothing of our addresses, and never raises for what a peer sent.

Rule 1: reading returns every message that can be read; damage becomes a Message with an `error`.
Rule 2: nesting, messages and atoms are limited, so that one datagram cannot make the server work
for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from pythonosc.parsing import osc_types

Atom = int | float | bool | str | bytes
Number = TypeVar("Number", int, float)
Reader = Callable[[bytes, int], tuple[Atom, int]]  # packet, place -> atom, the place after it

MAX_BUNDLE_DEPTH = 8
MAX_MESSAGES = 256  # in one packet, all bundles together
MAX_ATOMS = 256  # in one message; Max's own lists end there too

# N and I carry no value: OSCQuery clients send them for a button whose TYPE is N.
WITHOUT_VALUE = str.maketrans("", "", "NI")

BUNDLE = b"#bundle\0"
BUNDLE_HEADER_BYTES = 16  # the marker and a time tag, which we ignore as Pd does


@dataclass(frozen=True)
class Message:
    """One OSC message as it came; with an error, its atoms are those before the damage."""

    address: str
    atoms: tuple[Atom, ...] = ()
    code: str = ""  # bad_packet or bad_args when damaged
    error: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Text that was not UTF-8 has been replaced: says where."""
        return tuple(
            f"argument {n} is not UTF-8; what could not be read became \N{REPLACEMENT CHARACTER}"
            for n, atom in enumerate(self.atoms, 1)
            if isinstance(atom, str) and "\N{REPLACEMENT CHARACTER}" in atom
        )


class _Damage(Exception):
    def __init__(self, error: str, code: str = "bad_packet") -> None:
        super().__init__(error)
        self.code = code


# -------------------------------------------------------------------------------------------------
# reading


def read_packet(packet: bytes) -> list[Message]:
    """All messages of a packet, those of nested bundles in their order."""
    messages = list(islice(_walk(packet, depth=0), MAX_MESSAGES + 1))
    if len(messages) > MAX_MESSAGES:
        messages[MAX_MESSAGES] = _broken(
            f"more than {MAX_MESSAGES} messages in one packet; the rest was not read"
        )
    return messages


def _broken(error: str) -> Message:
    return Message("", code="bad_packet", error=error)


def _walk(packet: bytes, depth: int) -> Iterator[Message]:
    if not packet.startswith(BUNDLE):
        yield _read_message(packet)
    elif depth == MAX_BUNDLE_DEPTH:
        yield _broken(f"bundles nested deeper than {MAX_BUNDLE_DEPTH}")
    elif len(packet) < BUNDLE_HEADER_BYTES:
        yield _broken(f"a bundle starts with {BUNDLE_HEADER_BYTES} bytes, {len(packet)} came")
    else:
        yield from _walk_elements(packet, depth)


def _walk_elements(bundle: bytes, depth: int) -> Iterator[Message]:
    at = BUNDLE_HEADER_BYTES
    while at < len(bundle):
        size = int.from_bytes(bundle[at : at + 4], "big", signed=True)
        start, at = at + 4, at + 4 + size
        if size <= 0 or at > len(bundle):
            yield _broken(
                f"a bundle element of {size} bytes, where {max(0, len(bundle) - start)} are left"
            )
            return
        yield from _walk(bundle[start:at], depth + 1)


def _read_message(packet: bytes) -> Message:
    address, atoms = "", []
    try:
        address, at = _read_address(packet)
        tags, at = _read_tags(packet, at)
        for tag in tags.translate(WITHOUT_VALUE):
            atom, at = _reader(tag)(packet, at)
            atoms.append(atom)
        if at != len(packet):
            raise _Damage(f"{len(packet) - at} bytes after the last argument")
    except _Damage as damage:
        return Message(address, tuple(atoms), damage.code, str(damage))
    return Message(address, tuple(atoms))


def _read_address(packet: bytes) -> tuple[str, int]:
    if not packet.startswith(b"/"):
        raise _Damage(
            f"an OSC message starts with '/', a bundle with '#bundle'; came {bytes(packet[:16])!r}"
        )
    return _read_string(packet, 0)


def _read_tags(packet: bytes, at: int) -> tuple[str, int]:
    if at == len(packet):
        return "", at  # old senders leave an empty type tag string out
    if packet[at : at + 1] != b",":
        raise _Damage("no type tags: a ',' should follow the address")
    tags, at = _read_string(packet, at)
    if len(tags) > MAX_ATOMS + 1:
        raise _Damage(f"{len(tags) - 1} arguments; at most {MAX_ATOMS} are taken", "bad_args")
    return tags[1:], at


def _read_string(packet: bytes, at: int) -> tuple[str, int]:
    # Not osc_types.get_string: it raises on text that is not UTF-8, and walks byte by byte.
    end = packet.find(b"\0", at)
    after = (end | 3) + 1  # the next multiple of four behind the NUL
    if end < 0 or after > len(packet):
        raise _Damage("a string that does not end")
    return packet[at:end].decode("utf-8", "replace"), after


def _read_blob(packet: bytes, at: int) -> tuple[bytes, int]:
    # Not osc_types.get_blob: it takes a negative size, and steps backwards.
    size, at = _read_int(packet, at)
    after = at + size + -size % 4
    if size < 0 or after > len(packet):
        raise _Damage(f"a blob of {size} bytes, where {len(packet) - at} are left")
    return packet[at : at + size], after


def _make_reader(
    read: Callable[[bytes, int], tuple[Number, int]], size_bytes: int
) -> Callable[[bytes, int], tuple[Number, int]]:
    def read_fixed(packet: bytes, at: int) -> tuple[Number, int]:
        # A slice, because osc_types' readers copy all that follows.
        piece = packet[at : at + size_bytes]
        if len(piece) < size_bytes:
            raise _Damage("a number that is cut off")
        return read(piece, 0)[0], at + size_bytes

    return read_fixed


def _constant(value: bool) -> Reader:
    return lambda packet, at: (value, at)


_read_int: Callable[[bytes, int], tuple[int, int]] = _make_reader(osc_types.get_int, 4)

READERS: dict[str, Reader] = {
    "i": _read_int,
    "f": _make_reader(osc_types.get_float, 4),
    "s": _read_string,
    "b": _read_blob,
    # never sent by us, but met: 64 bit numbers (Max, Python), symbols (liblo), flags (Python,
    # TouchOSC)
    "h": _make_reader(osc_types.get_int64, 8),
    "d": _make_reader(osc_types.get_double, 8),
    "S": _read_string,
    "T": _constant(True),
    "F": _constant(False),
}


def _reader(tag: str) -> Reader:
    if tag not in READERS:
        raise _Damage(f"type tag {tag!r} is not taken; send i, f, s or b", "bad_args")
    return READERS[tag]


# -------------------------------------------------------------------------------------------------
# writing

# By the value's exact type: python-osc's own guess makes T, N, h and arrays, which Pd and sclang do
# not know.
WRITERS: dict[type, tuple[str, Callable[..., bytes]]] = {
    int: ("i", osc_types.write_int),
    float: ("f", osc_types.write_float),
    str: ("s", osc_types.write_string),
    bytes: ("b", osc_types.write_blob),
}


def write_message(address: str, atoms: Sequence[Atom]) -> bytes:
    """One message; the atoms are int, float, str or bytes, already checked."""
    tags = "".join(WRITERS[type(atom)][0] for atom in atoms)
    body = b"".join(WRITERS[type(atom)][1](atom) for atom in atoms)
    head: bytes = osc_types.write_string(address) + osc_types.write_string("," + tags)
    return head + body
