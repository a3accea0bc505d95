"""The drill injects real faults into the real stack on its own local engine, and accounts for every event.

It needs the development dependencies, which `make setup` installs.
"""
