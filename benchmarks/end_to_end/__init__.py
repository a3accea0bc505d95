"""The whole pipeline on its own local engine, driven by the commands of users."""
