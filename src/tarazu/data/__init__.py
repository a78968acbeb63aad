"""Reading rows, splitting them by groups, and looking for leaks."""

from tarazu._verbs import callable_as

callable_as(__name__, "tarazu.study:describe_data")
