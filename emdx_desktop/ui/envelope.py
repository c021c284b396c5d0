"""A pyramid of lowest, mean and highest: any stretch of a long series in about as many points as pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACTOR = 4
SMALLEST_LEVEL = 512

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EnvelopeSlice:
    """What is drawn.

    Attributes:
        x: Shape (n,).
        low, mean, high: Shape (n,); NaN draws a gap.
        is_raw: Nothing was joined.
    """

    x: Floats
    low: Floats
    mean: Floats
    high: Floats
    is_raw: bool


class Envelope:
    """Levels of a series, each joining four points of the one below. Built beside the window."""

    def __init__(self, x: Floats, low: Floats, mean: Floats, high: Floats) -> None:
        """Build the levels.

        Args:
            x: Ascending, shape (n,).
            low: Lowest of each point; NaN for a gap.
            mean: Mean of each point.
            high: Highest of each point.
        """
        self._levels = [(x, low, mean, high)]
        while len(self._levels[-1][0]) > SMALLEST_LEVEL:
            self._levels.append(_joined(*self._levels[-1]))

    def __len__(self) -> int:
        return len(self._levels[0][0])

    def slice(self, start: float, end: float, max_points: int) -> EnvelopeSlice:
        """The finest level that shows [start, end] in at most `max_points`, one point more at either side."""
        for number, (x, low, mean, high) in enumerate(self._levels):
            first = max(0, int(np.searchsorted(x, start, side="left")) - 1)
            last = min(len(x), int(np.searchsorted(x, end, side="right")) + 1)
            if last - first <= max_points or number == len(self._levels) - 1:
                return EnvelopeSlice(
                    x[first:last], low[first:last], mean[first:last], high[first:last], is_raw=number == 0
                )
        raise AssertionError("there is always one level")


def _joined(x: Floats, low: Floats, mean: Floats, high: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    count = -(-len(x) // FACTOR)
    missing = count * FACTOR - len(x)

    def rows(values: Floats, filler: float) -> Floats:
        return np.concatenate([values, np.full(missing, filler)]).reshape(count, FACTOR)

    means = rows(mean, np.nan)
    is_finite = np.isfinite(means)
    finite_count = is_finite.sum(axis=1)
    sums = np.where(is_finite, means, 0.0).sum(axis=1)
    joined_mean = np.divide(sums, finite_count, out=np.full(count, np.nan), where=finite_count > 0)
    joined_x = rows(x, float(x[-1])).mean(axis=1)
    # fmin and fmax leave NaN out unless there is nothing else
    return joined_x, np.fmin.reduce(rows(low, np.nan), axis=1), joined_mean, np.fmax.reduce(rows(high, np.nan), axis=1)
