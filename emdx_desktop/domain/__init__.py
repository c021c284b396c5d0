"""Pure rules: standard library and numpy only. Imports nothing else of this program."""
