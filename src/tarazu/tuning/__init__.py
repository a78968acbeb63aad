"""The equal tuning budget: which settings are tried, which go on, and which one is chosen."""
