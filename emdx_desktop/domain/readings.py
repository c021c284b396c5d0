"""What a poll yields and what crosses threads: frozen values with a quality beside each number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import NamedTuple, NewType

DeviceId = NewType("DeviceId", int)
GatewayId = NewType("GatewayId", int)


class Quality(IntEnum):
    """Quality of one sample. Only GOOD enters statistics. The numbers are stored: never renumber."""

    GOOD = 0
    TIMEOUT = 1
    EXCEPTION = 2
    PROTOCOL = 3
    SENTINEL = 4  # the device says "not available"
    IMPLAUSIBLE = 5  # outside what the profile allows
    STALE = 6
    CLOCK = 7  # the PC's clock could not be trusted
    PENDING = 8  # waits for confirmation or for a scale to be entered
    NOT_DUE = 9  # read more slowly than a minute: neither gap nor loss of coverage
    NOT_RECORDED = 10  # the program was not running or the PC slept


class FaultKind(StrEnum):
    """Why a request got no usable reply."""

    CONNECT = "connect"  # refused, host down, name unknown
    CONNECTION_LIMIT = "connection_limit"  # accepted and closed at once, again and again
    CLOSED = "closed"  # the other side closed or reset
    TIMEOUT = "timeout"
    CRC = "crc"
    PROTOCOL = "protocol"  # a reply that does not match its request
    EXCEPTION = "exception"


QUALITY_OF_FAULT: Mapping[FaultKind, Quality] = {
    FaultKind.CONNECT: Quality.TIMEOUT,
    FaultKind.CONNECTION_LIMIT: Quality.TIMEOUT,
    FaultKind.CLOSED: Quality.TIMEOUT,
    FaultKind.TIMEOUT: Quality.TIMEOUT,
    FaultKind.CRC: Quality.TIMEOUT,
    FaultKind.PROTOCOL: Quality.PROTOCOL,
    FaultKind.EXCEPTION: Quality.EXCEPTION,
}


@dataclass(frozen=True, slots=True)
class GroupLayout:
    """Columns of one read group of one device; one shared object per device and group.

    Attributes:
        device_id: Whose.
        group: Name of the read group in the profile.
        quantities: Quantity ids, in column order.
        interval_s: Period at which the group is due; above 60 its other minutes are "not due".
    """

    device_id: DeviceId
    group: str
    quantities: tuple[str, ...]
    interval_s: float


@dataclass(frozen=True, slots=True)
class GroupReadings:
    """One read group of one device at one moment, in columns.

    Attributes:
        layout: Columns.
        ts_ms: UTC moment of the reply, epoch milliseconds.
        values: Per column: instants as float in the base unit, counters as the integer count of
            the device, states as an integer code; None where the quality is not GOOD.
        qualities: Per column one byte, a `Quality`.
        factors: Per column for counters the exact base units per count (Wh, varh, m³ …), None
            for other kinds. The same tuple object as long as nothing changed; a change closes the
            counter's epoch.
        detail: Last fault of the group in words, empty when all is well.
    """

    layout: GroupLayout
    ts_ms: int
    values: tuple[float | int | None, ...]
    qualities: bytes
    factors: tuple[Fraction | None, ...]
    detail: str = ""


class LiveValue(NamedTuple):
    """Newest sample of one quantity. `value` is the last good one even when quality is not GOOD.

    Attributes:
        value: Base unit; counters already multiplied by their factor, for display only.
        quality: Quality of the newest attempt.
        ts_ms: UTC moment of the last good sample, 0 when there never was one.
        detail: Why it is not good, in words; empty when good.
    """

    value: float | None
    quality: Quality
    ts_ms: int
    detail: str = ""


class DeviceState(StrEnum):
    """State of a device as the tree shows it."""

    WAITING = "waiting"  # not asked yet
    ANSWERING = "answering"
    PARTIAL = "partial"  # answers, but some registers are refused or implausible
    SILENT = "silent"  # no answer: an ordinary event
    GATEWAY_DOWN = "gateway_down"
    UNREADABLE = "unreadable"  # no register table: evidence "simulation" on a real line
    DISABLED = "disabled"


LATENCY_BOUNDS_MS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000)
"""Upper edges of the response-time histogram; a last open class follows."""


@dataclass(frozen=True, slots=True)
class RequestStatistics:
    """Counts since start for one device or bus."""

    requests: int = 0
    good: int = 0
    errors: Mapping[FaultKind, int] = field(default_factory=dict)
    latency_histogram: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_MS) + 1)
    last_error: str = ""
    last_error_ts_ms: int = 0


@dataclass(frozen=True, slots=True)
class DeviceSnapshot:
    """All that is known live about one device."""

    device_id: DeviceId
    state: DeviceState
    values: Mapping[str, LiveValue]
    last_good_ts_ms: int
    period_s: float | None  # measured period of its fastest group
    statistics: RequestStatistics
    unsupported: tuple[str, ...] = ()  # quantities the device refuses, with the register in words
    detail: str = ""  # cause - consequence - what to do


@dataclass(frozen=True, slots=True)
class BusSnapshot:
    """All that is known live about one line."""

    gateway_id: GatewayId
    is_connected: bool
    cycle_s: float | None  # last full cycle measured
    predicted_cycle_s: float | None
    load_ratio: float | None  # share of time the line was busy
    statistics: RequestStatistics
    detail: str = ""


class NoticeLevel(StrEnum):
    """How loud a notice is."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth a sentence: cause - consequence - what to do. One per key, not one per poll."""

    key: str
    level: NoticeLevel
    message: str
    since_ts_ms: int


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """Merged over all lines, latest wins, at most four a second.

    Unchanged devices are the very same `DeviceSnapshot` object as in the snapshot before, so a
    receiver finds what changed by identity.
    """

    sequence: int
    ts_ms: int
    devices: Mapping[DeviceId, DeviceSnapshot]
    buses: Mapping[GatewayId, BusSnapshot]
    notices: tuple[Notice, ...]
    last_saved_minute_ms: int
    installation_revision: int
