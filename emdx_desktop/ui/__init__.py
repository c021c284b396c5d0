"""Qt: the window."""
