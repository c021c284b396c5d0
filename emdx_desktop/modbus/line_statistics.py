"""Counting requests, errors and response times of a device or a line."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from emdx_desktop.domain.readings import LATENCY_BOUNDS_MS, FaultKind, RequestStatistics


class RequestCounter:
    """Counts since start; `snapshot` freezes them."""

    def __init__(self) -> None:
        self._requests = 0
        self._good = 0
        self._errors: Counter[FaultKind] = Counter()
        self._histogram = [0] * (len(LATENCY_BOUNDS_MS) + 1)
        self._last_error = ""
        self._last_error_ts_ms = 0

    def note_good(self, latency_s: float) -> None:
        """A request was answered with values."""
        self._requests += 1
        self._good += 1
        self._histogram[bisect_left(LATENCY_BOUNDS_MS, latency_s * 1000)] += 1

    def note_fault(self, kind: FaultKind, message: str, ts_ms: int, latency_s: float | None = None) -> None:
        """A request got no values. `latency_s` is given where a reply came (a refusal)."""
        self._requests += 1
        self._errors[kind] += 1
        self._last_error = message
        self._last_error_ts_ms = ts_ms
        if latency_s is not None:
            self._histogram[bisect_left(LATENCY_BOUNDS_MS, latency_s * 1000)] += 1

    def snapshot(self) -> RequestStatistics:
        """The counts now."""
        return RequestStatistics(
            requests=self._requests,
            good=self._good,
            errors=dict(self._errors),
            latency_histogram=tuple(self._histogram),
            last_error=self._last_error,
            last_error_ts_ms=self._last_error_ts_ms,
        )
