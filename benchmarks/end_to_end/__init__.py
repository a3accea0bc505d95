"""The whole pipeline on a local engine of its own, driven by the commands that users have."""
