"""The password, and the machines that guess it."""

import pytest

from server.errors import RequestError
from server.wire.auth import TRIES, Authenticator


async def test_machines_that_guess_passwords_are_remembered_up_to_a_number(monkeypatch):
    monkeypatch.setattr("server.wire.auth.MAX_HOSTS", 5)
    authenticator = Authenticator("open sesame")
    for number in range(20):
        await authenticator.check(f"10.0.0.{number}", "open sesame")
    assert len(authenticator._attempts) == 5


async def test_a_password_is_asked_for_slowly_and_four_times():
    authenticator = Authenticator("open sesame", delay_seconds=0.001)
    await authenticator.check("10.0.0.1", "open sesame")
    for left in range(TRIES - 1, 0, -1):
        with pytest.raises(RequestError, match=f"{left} of {TRIES}"):
            await authenticator.check("10.0.0.2", "guess")
    for _ in range(2):
        with pytest.raises(RequestError, match="try again in"):
            await authenticator.check("10.0.0.2", "guess")
    with pytest.raises(RequestError, match="try again in"):
        await authenticator.check("10.0.0.2", "open sesame")
    await authenticator.check("10.0.0.1", "open sesame")
