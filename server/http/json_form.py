"""The table's values as JSON, both ways: by name, blobs as Base64, floats as short as possible."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any

from osc_protocol import ADDRESSES, REQUIRED, Address, Arg, Message, ReplyMessage

MAX_INTEGER = 2**63  # more than any argument takes; the table's own ranges are checked later


class BadBody(ValueError):
    """The body of a request is not what an address takes; the text says what was expected."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object. Raises BadBody."""
    try:
        parsed = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"expected a JSON object, came what is no JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise BadBody(
            f"expected a JSON object of argument names and values, came {type(parsed).__name__}"
        )
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def message(address: str, body: dict[str, Any]) -> Message:
    """The message that an OSC client would have sent.

    Raises BadBody; what the table says is checked by others.
    """
    row = ADDRESSES.get(address)
    if row is None:
        return Message(address)
    given = {name: value for name, value in body.items() if value is not None}
    atoms = _arguments(row, given)
    known_first = sorted(given, key=lambda name: name not in row.keys)
    return Message(
        address,
        (*atoms, *(atom for name in known_first for atom in (name, _atom(name, given[name])))),
    )


def _arguments(row: Address, given: dict[str, Any]) -> list[Any]:
    """Take the row's arguments out of `given`, in their order, up to the first missing one."""
    atoms: list[Any] = []
    for arg in row.args:
        if arg.name in given:
            atoms += _atoms(arg, given.pop(arg.name))
        elif arg.rest or arg.default is REQUIRED:
            # The check of the message names this one, and nothing after it.
            given.clear()
            return atoms
        else:
            atoms.append(arg.default)
    return atoms


def _atoms(arg: Arg, value: Any) -> list[Any]:
    values = value if arg.rest and isinstance(value, list) else [value]
    return [_blob(arg.name, each) if arg.type == "b" else _atom(arg.name, each) for each in values]


def _blob(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadBody(f"{name}: expected bytes as a Base64 string") from None


def _atom(name: str, value: Any) -> Any:
    if not isinstance(value, (bool, int, float, str)):
        raise BadBody(f"{name}: expected a number or a string, came a {type(value).__name__}")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise BadBody(f"{name}: the number is too large")
    return value


def reply(message: ReplyMessage) -> dict[str, Any]:
    """A reply as a JSON object: its address, and its values by name."""
    return {"address": message.address, **values(message)}


def values(message: ReplyMessage) -> dict[str, Any]:
    """The values of a reply by name."""
    return {name: _plain(value) for name, value in message.values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return _short(value) if isinstance(value, float) else value


def _short(number: float) -> float:
    """The shortest decimal with the same four bytes: 0.4 instead of 0.4000000059604645."""
    packed = struct.pack(">f", number)
    return next(
        short
        for digits in range(6, 10)
        if struct.pack(">f", short := float(f"{number:.{digits}g}")) == packed
    )
