"""The page that ``shipments console`` serves on this machine. It needs the extra ``console``."""
