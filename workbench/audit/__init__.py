"""``make audit``: every judge on every stage, and whether each finding has a reason to be accepted."""
