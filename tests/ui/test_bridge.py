import threading
from dataclasses import replace

import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.ui.bridge import QueryPool, SnapshotRelay


@pytest.fixture
def relay(port):
    relay = SnapshotRelay(port)
    yield relay
    relay.stop()


@pytest.fixture
def pool(qapp):
    pool = QueryPool()
    yield pool
    pool.close()


def test_a_flood_of_snapshots_is_coalesced_and_the_last_one_wins(qtbot, port, relay):
    received = []
    relay.snapshot_ready.connect(received.append)
    relay.start()
    base = port.latest()
    last = 50_000

    def flood():
        for number in range(2, last + 1):
            port.post(replace(base, sequence=number))

    thread = threading.Thread(target=flood)
    thread.start()
    qtbot.waitUntil(lambda: bool(received) and received[-1].sequence == last, timeout=10_000)
    thread.join()
    assert relay.delivery_count <= 60  # ten a second at most, whatever the machine needs for the flood
    assert [s.sequence for s in received] == sorted(s.sequence for s in received)


def test_snapshots_arrive_in_the_window_thread(qtbot, port, relay):
    threads = []
    relay.snapshot_ready.connect(lambda _snapshot: threads.append(threading.current_thread()))
    relay.start()
    sender = threading.Thread(target=port.post, args=(port.latest(),))
    sender.start()
    sender.join()
    qtbot.waitUntil(lambda: bool(threads))
    assert set(threads) == {threading.main_thread()}


def test_nothing_is_delivered_after_stop(qtbot, port, relay):
    received = []
    relay.snapshot_ready.connect(received.append)
    relay.start()
    port.post(port.latest())
    relay.stop()
    port.post(port.latest())
    relay._take(port.latest())  # a thread that was just handing over
    qtbot.wait(1)
    assert received == []
    assert port.listener_count == 0


def test_a_query_answers_in_the_window_thread(qtbot, pool):
    answers = []
    pool.ask(
        "a",
        lambda _cancellation: threading.current_thread(),
        lambda result: answers.append((result, threading.current_thread())),
        answers.append,
    )
    qtbot.waitUntil(lambda: bool(answers))
    worker, receiver = answers[0]
    assert worker is not threading.main_thread()
    assert receiver is threading.main_thread()
    assert not pool.is_busy("a")


def test_a_stale_answer_is_ignored_and_its_query_told_so(qtbot, pool):
    gate, entered, seen, answers = threading.Event(), threading.Event(), [], []

    def slow(cancellation):
        entered.set()
        gate.wait(10)
        seen.append(cancellation.is_cancelled)
        return "old"

    pool.ask("a", slow, answers.append, answers.append)
    assert entered.wait(10)
    pool.ask("a", lambda _cancellation: "new", answers.append, answers.append)
    gate.set()
    qtbot.waitUntil(lambda: bool(seen) and bool(answers))
    qtbot.wait(1)
    assert answers == ["new"]
    assert seen == [True]


def test_a_fault_comes_back_as_its_sentence(qtbot, pool):
    faults = []

    def broken(_cancellation):
        raise StorageFault("The history is damaged - this period is not shown - run verify")

    pool.ask("a", broken, lambda _result: None, faults.append)
    qtbot.waitUntil(lambda: bool(faults))
    assert faults == ["The history is damaged - this period is not shown - run verify"]


def test_a_bug_reaches_the_hook_and_the_person(qtbot, pool):
    faults = []

    def buggy(_cancellation):
        return 1 // 0

    with qtbot.captureExceptions() as exceptions:
        pool.ask("a", buggy, lambda _result: None, faults.append)
        qtbot.waitUntil(lambda: bool(exceptions))
    assert exceptions[0][0] is ZeroDivisionError
    assert "mistake" in faults[0]


def test_closing_waits_for_queries_and_delivers_nothing(qtbot, pool):
    gate, entered, answers = threading.Event(), threading.Event(), []

    def slow(_cancellation):
        entered.set()
        gate.wait(10)
        return "late"

    pool.ask("a", slow, answers.append, answers.append)
    assert entered.wait(10)
    threading.Timer(0.05, gate.set).start()
    pool.close()
    qtbot.wait(1)
    pool.ask("a", slow, answers.append, answers.append)
    qtbot.wait(1)
    assert answers == []
