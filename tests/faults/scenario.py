"""One fault: how it is brought about, what must hold, and what the user reads.

A scenario is a coroutine function of a Stage. It asserts what must hold and returns the text that
the user sees, as (code, text); the code must be its row's, and the row's cure must stand in the
text.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.stage import Stage, until

NOTHING = ("", "")  # the user sees nothing: the job is done


@dataclass(frozen=True)
class Scenario:
    """One row. `code`: empty where the fault must not be noticed; `cure`: words of the text."""

    name: str
    injury: str
    holds: str
    code: str
    cure: str
    play: Callable[[Stage], Awaitable[tuple[str, str]]]
    is_real: bool = False  # with the real engine, which takes its time


def adds_to(rows):
    """A decorator that adds rows to a table; a row's name is its function's."""

    def scenario(injury, holds, code="", cure="", is_real=False):
        def add(play):
            name = play.__name__.replace("_", " ")
            rows.append(Scenario(name, injury, holds, code, cure, play, is_real))
            return play

        return add

    return scenario


def failure(values):
    """(code, text) of a /fail."""
    return values["code"], values["message"]


async def wait_for_end(client, identity, patience=30.0):
    """(code, text) of a job's end, which must be one."""
    await until(lambda: client.ends(identity), patience)
    assert len({end.values["serial"] for end in client.ends(identity)}) == 1
    values = client.ends(identity)[0].values
    return failure(values) if "code" in values else NOTHING


def error_line(output):
    """(code, text) of the last line, `retimbre serve: code: text`."""
    line = output.strip().splitlines()[-1]
    return tuple(line.split(": ", 2)[1:])
