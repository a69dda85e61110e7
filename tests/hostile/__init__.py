"""Hostile files: made by hand, and good ones mutated; opened as people would open them."""
