"""Tables, JSON and pages; reads records only."""

from tarazu._verbs import callable_as

callable_as(__name__, "tarazu.report.api:report")
