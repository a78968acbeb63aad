"""Tasks: one file each, found by their place.

A file whose name starts with an underscore holds what several tasks share. `tarazu.tasks._task`
is the contract.
"""
