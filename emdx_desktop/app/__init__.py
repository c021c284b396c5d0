"""Use cases without Qt, written against the ports of the domain."""
