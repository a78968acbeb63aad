"""Does what a library that looks for a card does when it is imported."""

import torch

torch.cuda.is_available()
