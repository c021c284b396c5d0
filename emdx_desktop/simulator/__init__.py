"""A virtual site: devices answer from their own profile, lines have serial timing, faults can be switched on."""
