"""The parts of `real_size.py`: weights, the watched process of the study, and the result."""
