"""Snapshots and commands between `collect` and windows on the same PC."""
