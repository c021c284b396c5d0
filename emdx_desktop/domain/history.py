"""What is written to history and what is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class SeriesColumn:
    """One series of a device. `quantity` is a quantity id or a `read_offset_ms.<group>` id.

    `exponent` scales instants (value = integer * 10 ** exponent); 0 for counters, states, offsets.
    `group` names the read group of a counter: its `read_offset_ms.<group>` series times the readings.
    Empty: the device's only offset series, if it has just one.
    """

    quantity: str
    kind: QuantityKind
    exponent: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class MinuteLayout:
    """Columns of a device's minutes; one shared object as long as the device's series stay the same."""

    device_id: DeviceId
    columns: tuple[SeriesColumn, ...]


@dataclass(frozen=True, slots=True)
class DeviceMinute:
    """One finished minute of one device, in the columns of `layout`.

    Attributes:
        layout: Columns.
        values: Scaled integers: mean of good samples (instants), last good raw count (counters),
            milliseconds into the minute (read offsets); None where quality is not GOOD.
            States are not columns: they travel as `StateChange`.
        qualities: One byte a column, a `Quality`.
        polls: Good samples in the minute, per column.
        lows: Lowest good sample, scaled; None for none. Instants only.
        highs: Highest good sample, scaled.
        sums: Sum of the good samples, scaled (so that hour means weigh every poll).
    """

    layout: MinuteLayout
    values: tuple[int | None, ...]
    qualities: bytes
    polls: tuple[int, ...]
    lows: tuple[int | None, ...]
    highs: tuple[int | None, ...]
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state took another code. `code` None: unknown from here on (device silent)."""

    device_id: DeviceId
    quantity: str
    ts_ms: int
    code: int | None


class EventKind(StrEnum):
    """Kinds of recorded events."""

    CLOCK_STEP = "clock_step"
    SUSPEND = "suspend"
    STARTED = "started"
    STOPPED = "stopped"
    COUNTER_RESET = "counter_reset"
    COUNTER_ROLLOVER = "counter_rollover"
    COUNTER_GLITCH = "counter_glitch"
    COUNTER_JUMP = "counter_jump"
    METER_CONFIG = "meter_config"  # CT or VT ratio, pulse weight, factor changed
    METER_SWAPPED = "meter_swapped"  # identity does not match any more
    INSTALLATION_CHANGED = "installation_changed"
    STORAGE = "storage"
    IMPORT_DIFFERS = "import_differs"
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened beside the numbers. `data` holds JSON-able details."""

    ts_ms: int
    kind: EventKind
    message: str
    device_id: DeviceId | None = None
    quantity: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CounterEpoch:
    """From `start_ms` on, counts of this series are worth `factor` base units each.

    A new epoch starts when the factor changes, a counter is reset or a meter is exchanged. Energy of
    an interval is index(end) - index(start), summed over the epochs it touches.
    """

    device_id: DeviceId
    quantity: str
    start_ms: int
    start_count: int
    factor: Fraction
    modulus: int | None
    reason: str
    end_count: int | None = None  # last count of the epoch that ended here, None for the first


@dataclass(frozen=True, slots=True)
class MinuteBatch:
    """Everything of one minute; written in one transaction, acknowledged as a whole."""

    minute_ms: int
    devices: tuple[DeviceMinute, ...] = ()
    states: tuple[StateChange, ...] = ()
    events: tuple[Event, ...] = ()
    epochs: tuple[CounterEpoch, ...] = ()


@dataclass(frozen=True, slots=True)
class MinuteSeries:
    """Minutes of one instant quantity.

    Attributes:
        start_ms: UTC start of the first minute.
        values: Base unit, shape (n,), one a minute; NaN where there is no good value (gap or not due).
        qualities: Shape (n,), `Quality` of each minute.
    """

    start_ms: int
    values: NDArray[np.float64]
    qualities: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CountSeries:
    """Readings of one counter, only minutes that have one, ascending.

    Attributes:
        ts_ms: True moment of each reading (minute start + read offset), shape (n,).
        counts: Raw counts, shape (n,).
        epochs: Epochs that touch the range, ascending; the first starts at or before ts_ms[0].
    """

    ts_ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    epochs: tuple[CounterEpoch, ...]


class Resolution(StrEnum):
    """Steps of the ladder that is read."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class RollupSeries:
    """Local hours or local days of one instant quantity; only periods that have data, ascending.

    Attributes:
        start_ms: UTC start of each local hour or day, shape (n,).
        lows, means, highs: From every poll, base unit, shape (n,).
        polls: Good samples, shape (n,).
        minutes: Minutes with at least one good sample, shape (n,).
    """

    start_ms: NDArray[np.int64]
    lows: NDArray[np.float64]
    means: NDArray[np.float64]
    highs: NDArray[np.float64]
    polls: NDArray[np.int64]
    minutes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A series that has history."""

    device_id: DeviceId
    column: SeriesColumn
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class GapRun:
    """Consecutive minutes without a good value: start, end (exclusive) and why."""

    start_ms: int
    end_ms: int
    quality: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of the data folder."""

    name: str
    size_bytes: int
    is_sealed: bool
    month: str = ""  # 2026-10


@dataclass(frozen=True, slots=True)
class StorageReport:
    """What the data folder holds and when it will be full."""

    files: tuple[StoredFile, ...]
    total_bytes: int
    free_bytes: int
    bytes_per_day: float | None
    budget_bytes: int | None
    days_until_full: float | None
    spooled_batches: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long minutes are kept. Energies (counters and their offsets) for ever; the rest for
    `instant_days`, then local hours only. `disk_budget_bytes` None means no budget."""

    instant_days: int = 3 * 365 + 1
    disk_budget_bytes: int | None = None
