"""Noise that is a function of time: the same minute always gives the same value, in history and live."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Minutes = NDArray[np.int64]
Floats = NDArray[np.float64]


def hash_unit(numbers: Minutes, salt: int) -> Floats:
    """Evenly spread values in [0, 1), one for each number.

    Source: the SplitMix64 finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    """
    with np.errstate(over="ignore"):
        mixed = numbers.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def white(numbers: Minutes, salt: int) -> Floats:
    """Values in [-1, 1), nothing in common from one number to the next."""
    return 2.0 * hash_unit(numbers, salt) - 1.0


def smooth(minutes: Minutes, period_min: int, salt: int) -> Floats:
    """Values in [-1, 1) that wander, a new turn every `period_min` minutes; minutes ascending."""
    if not len(minutes):
        return np.zeros(0)
    first, last = int(minutes[0]) // period_min, int(minutes[-1]) // period_min + 1
    knots = np.arange(first, last + 1, dtype=np.int64)
    return np.interp(minutes, knots * period_min, white(knots, salt))
