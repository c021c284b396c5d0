"""One file per command of the command line; with `__main__` the composition root."""
