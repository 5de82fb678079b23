"""One atom against one Arg: taken as the kind of value that the table wants, or refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from osc_protocol.rows import Arg
from osc_protocol.wire import Atom

# the largest float that four bytes hold; NaN and infinity fail its range
FLOAT_MAX = 3.4028234663852886e38
# NUL ends an OSC string; a surrogate is half a character
UNSENDABLE = re.compile("[\0\ud800-\udfff]")
# Each digit can be read in one way only, so that text that is no number costs linear time.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
NUMBER_CHARACTERS = 64  # in no number of 32 bits are more of use

RANGES = {"i": (-(2**31), 2**31 - 1), "f": (-FLOAT_MAX, FLOAT_MAX)}
KINDS = {
    "i": "an integer",
    "f": "a number",
    "s": "text",
    "b": "a blob",
    "id": "an integer or a short string",
    "any": "a number, text or blob",
}


class BadArgument(ValueError):
    """An argument that the table does not allow: what was expected, what came."""


def describe(arg: Arg) -> str:
    """What the argument wants, in words: `a number from 0 to 2`."""
    if arg.choices:
        return (
            " or ".join(arg.choices) if len(arg.choices) < 4 else "one of " + " ".join(arg.choices)
        )
    if arg.type not in RANGES:
        return f"{KINDS[arg.type]} of at most {arg.limit_bytes} bytes"
    if arg.low is None:
        return KINDS[arg.type]
    end = "up" if arg.high is None else f"to {_to_text(arg.high)}"
    return f"{KINDS[arg.type]} from {_to_text(arg.low)} {end}"


def _to_text(number: float) -> str:
    """Whole numbers with all their digits."""
    return f"{number:g}" if number % 1 else str(int(number))


def nearest(name: str, names: Iterable[str]) -> str:
    """The closest of names, or an empty string."""
    return next(iter(difflib.get_close_matches(name[:128], list(names), n=1)), "")


def take(arg: Arg, atom: Atom) -> Atom:
    """The atom as the kind of value that arg names.

    Raises:
      BadArgument: it cannot be one, or is out of range, too long, or not among the choices.
    """
    value = TAKERS[arg.type](atom)
    if value is None or not _is_allowed(arg, value):
        raise BadArgument(
            f"{arg.name}: expected {describe(arg)}, came {show(atom)}{_hint(arg, atom)}"
        )
    return value


# Be strict in what leaves and generous in what comes: Pd has only floats, Max and oscsend may send
# numbers as text, Python and TouchOSC send flags. Each taker returns None for what it cannot take.


def _number(atom: Atom) -> float | int | None:
    if isinstance(atom, str):
        text = atom.strip() if len(atom) <= NUMBER_CHARACTERS else ""
        return float(text) if NUMBER.fullmatch(text) else None  # float itself leaves \x1c to \x1f
    return atom + 0 if isinstance(atom, (int, float)) else None  # True + 0 is 1


def _integer(atom: Atom) -> int | None:
    number = _number(atom)
    return int(number) if number is not None and number == number // 1 else None


def _float(atom: Atom) -> float | None:
    number = _number(atom)
    return None if number is None else float(number)


def _text(atom: Atom) -> str | None:
    if isinstance(atom, bytes):
        return None
    if isinstance(atom, str):
        return atom
    integer = _integer(atom)
    # Pd's 808.0 drums are "808 drums"
    return f"{atom:.7g}" if integer is None else str(integer)


def _blob(atom: Atom) -> bytes | None:
    return bytes(atom) if isinstance(atom, (bytes, bytearray, memoryview)) and len(atom) else None


def _id(atom: Atom) -> int | str | None:
    return atom if isinstance(atom, str) else None if isinstance(atom, bytes) else _integer(atom)


def _any(atom: Atom) -> Atom | None:
    return int(atom) if isinstance(atom, bool) else atom


TAKERS: dict[str, Callable[[Atom], Atom | None]] = {
    "i": _integer,
    "f": _float,
    "s": _text,
    "b": _blob,
    "id": _id,
    "any": _any,
}


def _is_allowed(arg: Arg, value: Atom) -> bool:
    if isinstance(value, bytes):
        return 0 < len(value) <= arg.limit_bytes
    if isinstance(value, str):
        return _is_allowed_text(arg, value)
    low, high = RANGES["i" if isinstance(value, int) else "f"]
    if arg.type in RANGES:
        low, high = low if arg.low is None else arg.low, high if arg.high is None else arg.high
    return low <= value <= high


def _is_allowed_text(arg: Arg, text: str) -> bool:
    if arg.choices and text not in arg.choices:
        return False
    return len(text.encode("utf-8", "replace")) <= arg.limit_bytes and not UNSENDABLE.search(text)


def show(atom: Atom) -> str:
    """The atom as a message to people quotes it, never long."""
    if isinstance(atom, bytes):
        return f"a blob of {len(atom)} bytes"
    if isinstance(atom, str) and len(atom) > 40:
        return f"{atom[:40]!r}… ({len(atom.encode('utf-8', 'replace'))} bytes)"
    return repr(atom)


def _hint(arg: Arg, atom: Atom) -> str:
    near = nearest(atom, arg.choices) if isinstance(atom, str) else ""
    return f"; did you mean {near}?" if near else ""


def clip(text: str, limit_bytes: int) -> str:
    """The text, cut to fit and ended with an ellipsis; what UTF-8 cannot carry becomes `?`."""
    data = text.replace("\0", " ").encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return data.decode("utf-8")
    return data[: limit_bytes - 3].decode("utf-8", "ignore") + "…"  # the ellipsis is three bytes
