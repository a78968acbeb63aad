"""Methods: one file each, found by their place.

A file whose name starts with an underscore holds what several methods share.
`tarazu.methods._method` is the contract.
"""
