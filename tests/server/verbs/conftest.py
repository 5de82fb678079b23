"""A client over UDP."""

import pytest


@pytest.fixture
async def client(connect):
    return await connect("udp")
