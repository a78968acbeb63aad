"""What the records say when entries are held against each other: differences, costs, failures."""
