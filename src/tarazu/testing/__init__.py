"""Public checks that every method and task passes, and tiny models to run them on."""
