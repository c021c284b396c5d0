"""States, events and counter epochs: rows beside the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction

import apsw

from emdx_desktop.domain.history import CounterEpoch, Event, EventKind, StateChange
from emdx_desktop.domain.readings import DeviceId

_NO_DEVICE = -1  # UNIQUE takes two NULLs as different, which would let an event in twice


def insert_states(connection: apsw.Connection, changes: Iterable[StateChange]) -> None:
    """Store state changes; the same again is nothing, another code of the same moment takes its place."""
    connection.executemany(
        "INSERT INTO state_change VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET code = excluded.code",
        [(change.device_id, change.quantity, change.ts_ms, change.code) for change in changes],
    )


def insert_events(connection: apsw.Connection, events: Iterable[Event]) -> None:
    """Store events; the same again is nothing."""
    connection.executemany(
        "INSERT OR IGNORE INTO event(ts_ms, kind, message, device, quantity, data) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                event.ts_ms,
                event.kind.value,
                event.message,
                _NO_DEVICE if event.device_id is None else event.device_id,
                event.quantity,
                json.dumps(dict(event.data), default=str),
            )
            for event in events
        ],
    )


def insert_epochs(connection: apsw.Connection, epochs: Iterable[CounterEpoch]) -> None:
    """Store epochs; one of the same start takes the other's place."""
    connection.executemany(
        "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [epoch_row(epoch) for epoch in epochs]
    )


def epoch_row(epoch: CounterEpoch) -> tuple[int, str, int, int, str, str, str | None, str, int | None]:
    """An epoch as the table keeps it; the factor as text, because it may exceed 64 bits."""
    return (
        epoch.device_id,
        epoch.quantity,
        epoch.start_ms,
        epoch.start_count,
        str(epoch.factor.numerator),
        str(epoch.factor.denominator),
        None if epoch.modulus is None else str(epoch.modulus),
        epoch.reason,
        epoch.end_count,
    )


def load_epochs(
    connection: apsw.Connection, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int
) -> tuple[CounterEpoch, ...]:
    """Epochs that touch [start_ms, end_ms), ascending; the first starts at or before start_ms if there is one."""
    rows = connection.execute(
        "SELECT device, quantity, start_ms, start_count, factor_numerator, factor_denominator, modulus, reason, "
        "end_count FROM epoch WHERE device = ?1 AND quantity = ?2 AND start_ms < ?4 AND start_ms >= coalesce("
        "(SELECT max(start_ms) FROM epoch WHERE device = ?1 AND quantity = ?2 AND start_ms <= ?3), ?3) "
        "ORDER BY start_ms",
        (device_id, quantity, start_ms, end_ms),
    )
    return tuple(
        CounterEpoch(
            DeviceId(device),
            name,
            start,
            count,
            Fraction(int(numerator), int(denominator)),
            None if modulus is None else int(modulus),
            reason,
            end_count,
        )
        for device, name, start, count, numerator, denominator, modulus, reason, end_count in rows
    )


def load_states(
    connection: apsw.Connection, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int
) -> Sequence[StateChange]:
    """Changes in [start_ms, end_ms), preceded by the last one before."""
    rows = connection.execute(
        "SELECT ts_ms, code FROM state_change WHERE device = ?1 AND quantity = ?2 AND ts_ms < ?4 AND ts_ms >= coalesce("
        "(SELECT max(ts_ms) FROM state_change WHERE device = ?1 AND quantity = ?2 AND ts_ms < ?3), ?3) ORDER BY ts_ms",
        (device_id, quantity, start_ms, end_ms),
    )
    return tuple(StateChange(device_id, quantity, ts, code) for ts, code in rows)


def load_events(connection: apsw.Connection, start_ms: int, end_ms: int) -> Sequence[Event]:
    """Events in [start_ms, end_ms), ascending."""
    rows = connection.execute(
        "SELECT ts_ms, kind, message, device, quantity, data FROM event WHERE ts_ms >= ? AND ts_ms < ? "
        "ORDER BY ts_ms, id",
        (start_ms, end_ms),
    )
    return tuple(
        Event(
            ts,
            EventKind(kind),
            message,
            None if device == _NO_DEVICE else DeviceId(device),
            quantity,
            json.loads(data),
        )
        for ts, kind, message, device, quantity, data in rows
    )
