"""The line's own limit, computed here a second time so that neither planner nor simulator judges itself.

T = (8 + 5 + 2n) × bits / baud + max(response, gap) + gap for one read of n registers; gap is 3.5 characters up to
19200 baud and 1.75 ms above. Source: Modbus over Serial Line V1.02, section 2.5.1.1; MODBUS request 8 bytes, reply
5 + 2n bytes.
"""

from __future__ import annotations

BITS_8N1 = 10


def read_limit_s(registers: int, baud: int, response_s: float = 0.02, bits: int = BITS_8N1) -> float:
    """Least time the line needs for one read of `registers` registers, seconds."""
    gap_s = 3.5 * bits / baud if baud <= 19200 else 0.00175
    return (13 + 2 * registers) * bits / baud + max(response_s, gap_s) + gap_s


def cycle_limit_s(devices: int, registers: int, baud: int, response_s: float = 0.02) -> float:
    """Least time of a cycle in which every device is read once, seconds."""
    return devices * read_limit_s(registers, baud, response_s)
