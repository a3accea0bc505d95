"""Services in memory behind a real HTTP endpoint, with a service time."""
