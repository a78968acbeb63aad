"""Getting a pretrained model and reading it: sources, cards, backbones, heads, precision."""
