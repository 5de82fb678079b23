"""What holds for the whole suite."""

import signal

from hypothesis import HealthCheck, settings


def pytest_configure():
    """Programs that we start hear ctrl-C, even where the suite runs in the background, whose
    children ignore it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# The machine may have other work: how long an example takes says nothing about the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
