"""The report as one self-contained page: no network, no font and no script from elsewhere."""
