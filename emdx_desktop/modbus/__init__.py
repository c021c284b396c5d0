"""pymodbus behind one door: links, framing guard, request planner, bus poller, profile loader."""
