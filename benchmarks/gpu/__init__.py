"""Programs for a CUDA card, and the parts of `smoke.py`."""
