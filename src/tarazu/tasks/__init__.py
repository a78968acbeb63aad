"""Tasks: one file each, found by their place.

A file whose name starts with an underscore holds what several tasks share. `tarazu.tasks._task`
is the contract.
"""

from tarazu._verbs import callable_as

callable_as(__name__, "tarazu.catalog:tasks")
