"""One error type for everything that a request can get wrong.

The code is for machines, the message for people.
"""

from __future__ import annotations

ERROR_CODES = {
    "bad_args": "a field of the request is missing, of the wrong type or out of range",
    "bad_audio": "the file is there but is not audio that can be read",
    "no_file": "the audio file does not exist or may not be read",
    "bad_preset": "the preset brings what this model cannot take",
    "too_short": "the region is shorter than the model can hear",
    "too_long": "the region is longer than the model takes",
    "unknown_model": "no family of that name",
    "not_ready": "the family is known, its runtime or what was installed with it is not there",
    "missing_weights": "the family's weights have to be fetched first; the message has the command",
    "model_damaged": "a file of the family is not the one that was installed; "
    "the message has the cure",
    "out_of_memory": "the region did not fit into memory",
    "cancelled": "the client asked to stop",
    "disk_full": "no room to write the stem",
    "write_failed": "the stem could not be written",
    "internal": "our bug",
}


class EngineError(Exception):
    """A request that cannot be answered: a code, and what was expected, what came, what to do."""

    def __init__(self, code: str, message: str) -> None:
        assert code in ERROR_CODES, f"{code} is not in ERROR_CODES"
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Cancelled(EngineError):
    """The client asked to stop; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled", "the job was cancelled; nothing was written")
