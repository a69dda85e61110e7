"""The studies, one in each module, as ``STUDY``."""
