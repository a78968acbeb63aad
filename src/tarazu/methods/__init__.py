"""Methods: one file each, found by their place.

A file whose name starts with an underscore holds what several methods share.
`tarazu.methods._method` is the contract.
"""

from tarazu._verbs import callable_as

callable_as(__name__, "tarazu.catalog:methods")
