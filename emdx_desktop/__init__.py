"""EMDX Desktop: energy supervision for a building's PC."""

__version__ = "0.1.0"
