"""Energy is conserved whatever a counter shows: rollovers and glitches neither make nor lose any."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emdx_desktop.domain.counters import CounterFindings, CounterGuard, compute_steps
from emdx_desktop.domain.history import CountSeries
from emdx_desktop.domain.readings import DeviceId, Quality

T0 = 1_790_000_000_000
FACTOR = Fraction(10)
DEVICE = DeviceId(1)


class Recorder:
    """What a guard believed."""

    def __init__(self, modulus: int | None) -> None:
        self.findings = CounterFindings()
        self.guard = CounterGuard(DEVICE, "active_energy_import", self.findings, modulus)
        self.good: list[tuple[int, int]] = []
        self.ts_ms = T0

    def feed(self, count: int, after_s: int) -> Quality:
        self.ts_ms += after_s * 1000
        quality = self.guard.check(self.ts_ms, count, FACTOR)
        if quality is Quality.GOOD:
            self.good.append((self.ts_ms, count))
        return quality

    def steps_wh(self) -> list[Fraction]:
        series = CountSeries(
            np.array([ts_ms for ts_ms, _ in self.good], np.int64),
            np.array([count for _, count in self.good], np.int64),
            tuple(self.findings.epochs),
        )
        return compute_steps(series)


# seconds since the last poll, counts since then (up to 4.5 MW), and what is shown instead, if anything
polls = st.lists(
    st.tuples(st.integers(5, 3600), st.integers(0, 625), st.none() | st.just(0) | st.integers(10**9, 2 * 10**9)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(start=st.integers(1000, 999_999), modulus=st.sampled_from([None, 10**6]), polls=polls)
def test_single_glitches_and_rollovers_conserve_energy(
    start: int, modulus: int | None, polls: list[tuple[int, int, int | None]]
) -> None:
    recorder = Recorder(modulus)
    recorder.feed(start, 0)
    true = booked = start
    was_wrong = False
    for after_s, counts, wrong in polls:
        true += min(counts, after_s // 8)
        shown = true if modulus is None else true % modulus
        # a wrong value for one poll only: two in a row may be the truth
        if wrong is not None and not was_wrong and shown < 900_000:
            was_wrong = True
            assert recorder.feed(wrong, after_s) is Quality.PENDING or wrong <= shown + 2
            continue
        was_wrong = False
        assert recorder.feed(shown, after_s) is Quality.GOOD
        booked = true
    steps = recorder.steps_wh()
    assert sum(steps, Fraction(0)) == (booked - start) * FACTOR
    assert all(step >= 0 for step in steps)


@settings(max_examples=100, deadline=None)
@given(
    lives=st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=12), min_size=1, max_size=5),
    start=st.integers(10_000, 10**6),
)
def test_resets_book_what_was_counted_before_and_after_and_nothing_else(lives: list[list[int]], start: int) -> None:
    recorder = Recorder(None)
    count = start
    expected = 0
    recorder.feed(count, 0)
    for number, life in enumerate(lives):
        if number:
            count = 0  # a reset between two polls
            recorder.feed(count, 60)
        for counts in life:
            count += counts
            expected += counts
            recorder.feed(count, 60)
    resets = [epoch for epoch in recorder.findings.epochs if epoch.reason == "reset"]
    steps = recorder.steps_wh()
    assert all(step >= 0 for step in steps)
    if len(resets) == len(lives) - 1:  # a counter that stood below a hundredth may look like a small step back
        assert sum(steps, Fraction(0)) == expected * FACTOR
    else:
        assert sum(steps, Fraction(0)) <= expected * FACTOR
