"""The one error of this package that reaches a client: a code from osc_protocol.ERROR_CODES and a sentence."""

from __future__ import annotations


class Refusal(Exception):
    """The client asked for something that it cannot have.

    `code` is what programs branch on; `message` says what was expected, what came and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
