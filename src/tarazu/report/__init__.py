"""Tables, JSON and pages; reads records only."""
