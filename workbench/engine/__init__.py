"""The local engine: an AWS emulator of this directory's own, started, deployed to and stopped."""
