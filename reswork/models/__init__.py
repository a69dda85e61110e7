"""Residual networks by depth: settings, layers, weights, and what they cost."""
