"""The synthesized template against the contract."""
