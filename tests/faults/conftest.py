"""The fixtures of a running server."""

from tests.server.conftest import audio, config, server  # noqa: F401
