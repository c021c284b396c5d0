"""Painted widgets and plots; the only door to pyqtgraph."""
