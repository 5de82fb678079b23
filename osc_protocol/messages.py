"""Packets to checked messages and back, by the table.

Rule 1: nothing that a peer sends raises. It becomes a BadRequest that says what was expected, what
came and what to do.
Rule 2: sending what the table does not allow raises ProtocolError: that is our mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from osc_protocol.addresses import ADDRESSES, REPLIES
from osc_protocol.arguments import BadArgument, clip, nearest, show, take
from osc_protocol.rows import NAME_BYTES, REQUIRED, ROOT, Address, Arg, Reply
from osc_protocol.wire import Atom, Message, read_packet, write_message

# of what the server sends over UDP: stays whole on Ethernet and Wi-Fi
MAX_DATAGRAM_BYTES = 1400

ID = Arg("id", "id")
DONE = f"{ROOT}/done"


class ProtocolError(Exception):
    """We tried to send what the table does not allow, or a server sent what we cannot read."""


@dataclass(frozen=True)
class Request:
    """A checked message from a client: every argument has its kind, absent ones their default."""

    address: str
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)  # only those that were sent
    warnings: tuple[str, ...] = ()
    id: int | str | None = None  # None: this address has no id

    @property
    def job_id(self) -> int | str:
        """The id, or 0 where this address has none."""
        return 0 if self.id is None else self.id


@dataclass(frozen=True)
class BadRequest:
    """A message that is not one of ours: the arguments of the /fail that answers it."""

    address: str
    id: int | str  # 0 when none could be read
    code: str
    message: str


@dataclass(frozen=True)
class ReplyMessage:
    """A checked message from the server."""

    address: str
    values: dict[str, Any]
    args: tuple[Atom, ...]


# -------------------------------------------------------------------------------------------------
# client to server


def decode_packet(data: bytes) -> list[Request | BadRequest]:
    """Every message of a packet, checked. Bundles are flattened and their time tags ignored."""
    return [decode_message(message) for message in read_packet(bytes(data))]


def decode_message(message: Message) -> Request | BadRequest:
    """One message, checked; for those that did not come as OSC bytes too."""
    row = ADDRESSES.get(message.address)
    if message.error:
        return _bad(message, row, message.code, message.error)
    if row is None:
        return _bad(message, row, "unknown_address", _unknown_address(message.address))
    try:
        values, left = _take_args(row.args, message.atoms)
        keys, warnings = _take_keys(row, values, left)
    except BadArgument as error:
        return _bad(message, row, "bad_args", f"{error}. Usage: {usage(row)}")
    return Request(message.address, values, keys, message.warnings + warnings, values.get("id"))


def usage(row: Address) -> str:
    """The row in one line, `/retimbre/edit id audio text [key value]*`."""
    words = [
        row.path,
        *(_usage_of(arg) for arg in row.args),
        *(["[key value]*"] if row.keys else []),
    ]
    return " ".join(words)


def _usage_of(arg: Arg) -> str:
    name = f"{arg.name}..." if arg.rest else arg.name
    return name if arg.default is REQUIRED else f"[{name}]"


def _bad(message: Message, row: Address | None, code: str, error: str) -> BadRequest:
    return BadRequest(clip(message.address, NAME_BYTES), _legible_id(message, row), code, error)


def _legible_id(message: Message, row: Address | None) -> int | str:
    """The id of a message that is otherwise wrong; 0 where none can be read.

    Where the address is unknown, it is the first argument, if that may be an id.
    """
    names = [arg.name for arg in row.args] if row else ["id"]
    at = names.index("id") if "id" in names else len(message.atoms)
    try:
        found = take(ID, message.atoms[at])
    except (IndexError, BadArgument):
        return 0
    return found if isinstance(found, (int, str)) else 0


def _unknown_address(address: str) -> str:
    if any(character in address for character in "*?[]{}"):
        return f"{clip(address, NAME_BYTES)}: address patterns are not taken; name one address"
    if address in REPLIES:
        return f"{address} is what the server sends"
    names = {row.name: row.path for row in ADDRESSES.values()}
    near = names.get(nearest(address.replace(f"{ROOT}/", "").strip("/"), names))
    return f"no address {clip(address, NAME_BYTES)}; " + (
        f"did you mean {near}?" if near else f"all start {ROOT}/"
    )


def _take_args(args: Sequence[Arg], atoms: Sequence[Atom]) -> tuple[dict[str, Any], Sequence[Atom]]:
    """Values by name, and the atoms that are left."""
    values = {}
    for arg in args:
        if arg.rest:
            values[arg.name], atoms = _take_rest(arg, atoms), ()
        elif atoms:
            values[arg.name], atoms = take(arg, atoms[0]), atoms[1:]
        elif arg.default is REQUIRED:
            raise BadArgument(f"{arg.name} is missing")
        else:
            values[arg.name] = arg.default
    return values, atoms


def _take_rest(arg: Arg, atoms: Sequence[Atom]) -> Any:
    if len(atoms) > arg.rest:
        raise BadArgument(f"{arg.name}: expected at most {arg.rest}, came {len(atoms)}")
    if arg.type != "s":
        return tuple(take(arg, atom) for atom in atoms)
    if not atoms:
        raise BadArgument(f"{arg.name} is missing")
    one = Arg(arg.name, "s", high=arg.high)
    return take(arg, " ".join(str(take(one, atom)) for atom in atoms))


def _take_keys(
    row: Address, values: Mapping[str, Any], atoms: Sequence[Atom]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The pairs that row knows, and a warning for each that it does not."""
    _refuse_unpaired(row, values, atoms)
    keys: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in zip(atoms[::2], atoms[1::2], strict=True):
        if isinstance(name, str) and name in row.keys:
            keys[name] = take(row.keys[name], value)
        else:
            warnings.append(f"no key {show(name)}, so it changes nothing; {_key_hint(row, name)}")
    return keys, tuple(warnings)


def _refuse_unpaired(row: Address, values: Mapping[str, Any], atoms: Sequence[Atom]) -> None:
    if atoms and not row.keys:
        raise BadArgument(f"{len(atoms)} too many: {show(atoms[0])}")
    if row.keys and not row.args and not atoms:
        raise BadArgument("no key and no value")
    if atoms and " " not in values.get("text", " ") and not nearest(str(atoms[0]), row.keys):
        # Pd and Max break a sentence into words: "turn" as the text, then "this into" as key and
        # value.
        raise BadArgument(
            f"no key {show(atoms[0])}. Words must be one string here; {ROOT}/say joins them"
        )
    if len(atoms) % 2:
        raise BadArgument(f"a key and a value each: {show(atoms[-1])} has none")


def _key_hint(row: Address, name: Atom) -> str:
    near = nearest(str(name), row.keys)
    return f"did you mean {near}?" if near else "there are " + " ".join(row.keys)


# -------------------------------------------------------------------------------------------------
# server to client


def encode(address: str, *args: Any, **keys: Any) -> bytes:
    """The packet for one message, with only i, f, s and b in it.

    Absent arguments travel as their default.

    After a row's arguments come its key/value pairs, as more `args` or as `keys`. A string that is
    too long is cut where the row says clip (text for people), and an error where it does not
    (names, paths).

    Raises:
      ProtocolError: the table does not allow it.
    """
    row = REPLIES.get(address) or ADDRESSES.get(address)
    if row is None:
        raise ProtocolError(f"no address {address}; {_unknown_address(address)}")
    atoms = [*args, *(atom for pair in keys.items() for atom in pair)]
    try:
        return write_message(address, _check_args(row, atoms))
    except BadArgument as error:
        raise ProtocolError(f"{address}: {error}") from None


def decode_reply(data: bytes) -> ReplyMessage:
    """One message from the server, for clients.

    Arguments that a newer server adds are in `args` alone.

    Raises:
      ProtocolError: it is not one message of the table.
    """
    messages = read_packet(bytes(data))
    if len(messages) != 1:
        raise ProtocolError(f"expected one message, came {len(messages)}")
    address, atoms, error = messages[0].address, messages[0].atoms, messages[0].error
    if error or address not in REPLIES:
        raise ProtocolError(error or f"{clip(address, NAME_BYTES)} is not a reply")
    try:
        values, _ = _take_args(_args_of(REPLIES[address], atoms), atoms)
    except BadArgument as error:
        raise ProtocolError(f"{address}: {error}") from None
    return ReplyMessage(address, values, atoms)


def _args_of(row: Address | Reply, atoms: Sequence[Atom]) -> tuple[Arg, ...]:
    """The row's arguments; those of /done go on with what the ended command promises."""
    if row.path != DONE or not atoms:
        return row.args
    command = ADDRESSES.get(str(atoms[0]))
    return row.args + (command.done or () if command else ())


def _check_args(row: Address | Reply, atoms: Sequence[Any]) -> list[Atom]:
    args = _args_of(row, atoms)
    atoms = [_clip(arg, atom) for arg, atom in zip(args, atoms, strict=False)] + list(
        atoms[len(args) :]
    )
    values, left = _take_args(args, atoms)
    return _flat(values.values()) + _check_pairs(row, values, left)


def _clip(arg: Arg, atom: Any) -> Any:
    return clip(atom, arg.limit_bytes) if arg.clip and isinstance(atom, str) else atom


def _flat(values: Iterable[Any]) -> list[Atom]:
    return [atom for value in values for atom in (value if isinstance(value, tuple) else (value,))]


def _check_pairs(
    row: Address | Reply, values: Mapping[str, Any], atoms: Sequence[Any]
) -> list[Atom]:
    keyed = row if isinstance(row, Address) else Address(row.name)
    keys, unknown = _take_keys(keyed, values, atoms)
    if unknown:
        raise BadArgument(unknown[0])
    return _flat(keys.items())
