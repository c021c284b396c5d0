import logging

from emdx_desktop.ui import stall_watch
from emdx_desktop.ui.stall_watch import StallWatch


def test_a_late_timer_is_a_stall_and_a_long_one_is_logged(qapp, monkeypatch, caplog):
    now = [10.0]
    monkeypatch.setattr(stall_watch.time, "monotonic", lambda: now[0])
    watch = StallWatch(interval_ms=100)
    watch.start(is_recording=True)
    for late_s in (0.1, 0.13, 0.6):
        now[0] += late_s
        with caplog.at_level(logging.WARNING):
            watch._on_timer_timeout()
    watch.stop()
    assert [round(stall) for stall in watch.stalls_ms] == [0, 30, 500]
    assert round(watch.worst_ms) == 500
    assert [record.getMessage() for record in caplog.records] == ["the window did not answer for 500 ms"]
