"""Readings: how an answer is read from a model (classes, spans, text), one file each."""
