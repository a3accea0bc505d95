"""The local engine: an AWS emulator for this directory, and how to start it, deploy to it and stop it."""
