"""Settings that all unit tests share."""

from hypothesis import settings

# A time limit on single examples would fail on a busy machine and say nothing of the code.
settings.register_profile("unit", deadline=None, max_examples=50)
settings.load_profile("unit")
