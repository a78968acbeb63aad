"""Metrics, and answering by generating or by scoring label words; knows no method or task."""
