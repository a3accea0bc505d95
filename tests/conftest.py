"""What all tests need."""

import os
import signal

from hypothesis import Phase, settings


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, and let no variable of AWS reach the tests."""
    # A shell starts jobs in the background with SIGINT ignored, and a process hands that on to all it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A shell that points at a local engine or an account must not change what the tests find.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]


# A time limit on single examples would fail on a busy machine and say nothing of the code.
settings.register_profile("unit", deadline=None, max_examples=50)
# For who wants to know whether a test fails, and not by which smallest example.
settings.register_profile("unshrunk", settings.get_profile("unit"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
