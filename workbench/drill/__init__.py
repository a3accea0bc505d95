"""The drill: real faults at the real stack on a private local engine, and an account of every event.

For users of the repository; it needs the development group of dependencies, which `make setup` installs.
"""
