"""Rows and Arrow to typed polars frames, output formats, charts."""
