"""What holds for the whole suite."""

import signal


def pytest_configure():
    """Programs that we start hear ctrl-C, even where the suite runs in the background, whose
    children ignore it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
