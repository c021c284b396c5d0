"""A batch of minutes as bytes: what the spool file keeps while the database refuses."""

from __future__ import annotations

import json
import zlib
from fractions import Fraction
from typing import Any

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    CounterEpoch,
    DeviceMinute,
    Event,
    EventKind,
    MinuteBatch,
    MinuteLayout,
    SeriesColumn,
    StateChange,
)
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId


def batch_to_bytes(batch: MinuteBatch) -> bytes:
    """Everything of a batch, deflated."""
    document = {
        "minute_ms": batch.minute_ms,
        "devices": [
            [
                minute.layout.device_id,
                [[c.quantity, c.kind.value, c.exponent, c.group] for c in minute.layout.columns],
                minute.values,
                minute.qualities.hex(),
                minute.polls,
                minute.lows,
                minute.highs,
                minute.sums,
            ]
            for minute in batch.devices
        ],
        "states": [[s.device_id, s.quantity, s.ts_ms, s.code] for s in batch.states],
        "events": [[e.ts_ms, e.kind.value, e.message, e.device_id, e.quantity, dict(e.data)] for e in batch.events],
        "epochs": [
            [e.device_id, e.quantity, e.start_ms, e.start_count, str(e.factor), e.modulus, e.reason, e.end_count]
            for e in batch.epochs
        ],
    }
    return zlib.compress(json.dumps(document, default=str, separators=(",", ":")).encode(), 1)


def batch_from_bytes(record: bytes) -> MinuteBatch:
    """Inverse of `batch_to_bytes`.

    Raises:
        StorageFault: These bytes are no batch.
    """
    try:
        return _build(json.loads(zlib.decompress(record)))
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StorageFault(f"A spooled minute cannot be read ({error}).") from error


def _build(document: dict[str, Any]) -> MinuteBatch:
    layouts: dict[str, MinuteLayout] = {}
    devices = []
    for device, columns, values, qualities, polls, lows, highs, sums in document["devices"]:
        key = json.dumps([device, columns])
        if key not in layouts:
            layouts[key] = MinuteLayout(
                DeviceId(device), tuple(SeriesColumn(q, QuantityKind(k), e, g) for q, k, e, g in columns)
            )
        devices.append(
            DeviceMinute(
                layouts[key],
                tuple(values),
                bytes.fromhex(qualities),
                tuple(polls),
                tuple(lows),
                tuple(highs),
                tuple(sums),
            )
        )
    return MinuteBatch(
        document["minute_ms"],
        tuple(devices),
        tuple(StateChange(DeviceId(d), q, ts, code) for d, q, ts, code in document["states"]),
        tuple(
            Event(ts, EventKind(kind), message, None if device is None else DeviceId(device), quantity, data)
            for ts, kind, message, device, quantity, data in document["events"]
        ),
        tuple(
            CounterEpoch(DeviceId(d), q, start, count, Fraction(factor), modulus, reason, end)
            for d, q, start, count, factor, modulus, reason, end in document["epochs"]
        ),
    )
