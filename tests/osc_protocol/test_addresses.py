import pytest

from osc_protocol import (
    ADDRESSES,
    EDIT_KEYS,
    ERROR_CODES,
    MAX_DATAGRAM_BYTES,
    REPLIES,
    REQUIRED,
    ROOT,
    encode,
)
from osc_protocol.arguments import KINDS, RANGES, take
from osc_protocol.messages import _args_of

ROWS = [*ADDRESSES.values(), *REPLIES.values()]
ARGS = [(row.path, arg) for row in ROWS for arg in (*row.args, *(getattr(row, "done", None) or ()))]
ARGS += [("a key", arg) for arg in EDIT_KEYS.values()]


def largest(arg):
    """The longest or largest value that the row allows."""
    if arg.choices:
        return max(arg.choices, key=len)
    if arg.type in RANGES:
        return RANGES[arg.type][1] if arg.high is None else arg.high
    return b"b" * arg.limit_bytes if arg.type == "b" else "x" * arg.limit_bytes


def test_every_reply_that_a_request_names_exists():
    for row in ADDRESSES.values():
        assert {f"{ROOT}/{name}" for name in row.replies} <= set(REPLIES), row.path


def test_a_request_has_a_done_if_and_only_if_it_promises_one():
    for row in ADDRESSES.values():
        assert row.done is None or "done" in row.replies, row.path
        assert row.done is not None or "done" not in row.replies or row.name == "job/query", (
            row.path
        )


def test_an_address_that_goes_both_ways_has_the_same_arguments_both_ways():
    for path in set(ADDRESSES) & set(REPLIES):
        assert ADDRESSES[path].args == REPLIES[path].args


@pytest.mark.parametrize("where, arg", ARGS, ids=lambda value: getattr(value, "name", value))
def test_every_argument_is_well_described(where, arg):
    assert arg.type in KINDS
    assert not arg.choices or arg.type == "s"
    assert not arg.clip or arg.type in ("s", "any")
    if arg.default not in (REQUIRED, None, ""):
        assert take(arg, arg.default) == arg.default


def test_only_the_last_argument_takes_the_rest_and_required_ones_come_first():
    for row in ROWS:
        assert not any(arg.rest for arg in row.args[:-1]), row.path
        optional = [arg.default is not REQUIRED for arg in row.args]
        assert optional == sorted(optional), row.path


@pytest.mark.parametrize(
    "row",
    [row for row in REPLIES.values() if row.name not in ("audio/data", "done")],
    ids=lambda row: row.name,
)
def test_the_largest_reply_fits_one_datagram(row):
    values = [value for arg in row.args for value in [largest(arg)] * (arg.rest or 1)]
    assert len(encode(row.path, *values)) <= MAX_DATAGRAM_BYTES


@pytest.mark.parametrize(
    "command", [row for row in ADDRESSES.values() if row.done is not None], ids=lambda row: row.name
)
def test_the_largest_done_fits_one_datagram(command):
    args = _args_of(REPLIES[f"{ROOT}/done"], [command.path])
    packet = encode(f"{ROOT}/done", command.path, *(largest(arg) for arg in args[1:]))
    assert len(packet) <= MAX_DATAGRAM_BYTES


def test_the_largest_audio_chunk_over_udp_stays_under_4000_bytes():
    assert len(encode(f"{ROOT}/audio/data", "x" * 64, 2**31 - 1, b"b" * 3840)) <= 4000


def test_error_codes_are_symbols_that_a_patch_can_route():
    assert all(code.isidentifier() and code.islower() for code in ERROR_CODES)
