"""Kinds of places that commands write to, by a part of their paths; the first that fits counts."""

PLACES = (
    ("/tokens/", "tables of tokens"),
    ("/states/", "states of a frozen trunk"),
    ("/trials/", "checkpoints of trials"),
    ("/checkpoints/", "checkpoints"),
    ("ledger", "ledger"),
    ("/runs/", "records"),
    ("/data/", "data"),
    ("/.tmp-", "weights on their way"),
)
REST = "study"
