"""What all tests need."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start.

    A shell starts jobs in the background with SIGINT ignored, and a process hands that on to all it starts.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
