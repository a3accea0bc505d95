"""A simulation of the deployed settings under AWS's published quotas, up to 100,000 events a second."""
