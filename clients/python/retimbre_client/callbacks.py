"""How is a caller's function called? A mistake in it goes to the log, not to the connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

from retimbre_client.values import Progress

log = logging.getLogger(__name__)

P = ParamSpec("P")
OnProgress = Callable[[Progress], None]


def ignore(*_: object) -> None:
    """The default of every callback."""


def guard(call: Callable[P, object]) -> Callable[P, None]:
    """The caller's function; an exception in it must not take the connection down."""

    def call_guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            log.exception("a callback failed: %r", call)

    return call_guarded
