"""Reading rows, splitting them by groups, and looking for leaks."""
