"""The doors between use cases and the world. `app` and `ui` know these, never the adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.bus_timing import BusPlan
from emdx_desktop.domain.history import (
    CounterEpoch,
    CountSeries,
    Event,
    GapRun,
    MinuteBatch,
    MinuteSeries,
    Resolution,
    RetentionPolicy,
    RollupSeries,
    SeriesColumn,
    SeriesInfo,
    StateChange,
    StorageReport,
)
from emdx_desktop.domain.installation import Device, Gateway, Installation
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceState,
    GroupReadings,
    Notice,
    RequestStatistics,
    SiteSnapshot,
)


class Clock(Protocol):
    """Wall and monotonic time; tests pass a fake."""

    def now_ms(self) -> int:
        """UTC, epoch milliseconds. May step."""

    def monotonic_s(self) -> float:
        """Never steps back."""


# --- acquisition -----------------------------------------------------------------------------------


class BusListener(Protocol):
    """What a bus poller tells, always in the acquisition loop's thread. None of it may block."""

    def on_readings(self, readings: GroupReadings) -> None:
        """One group of one device was read, or failed (then qualities say why)."""

    def on_device_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        """A device changed state."""

    def on_notice(self, notice: Notice) -> None:
        """A notice came up or changed."""

    def on_notice_cleared(self, key: str) -> None:
        """A notice is over."""

    def on_event(self, event: Event) -> None:
        """Identity or configuration of a device changed."""


@dataclass(frozen=True, slots=True)
class EquippedDevice:
    """A device with the profile that reads it."""

    device: Device
    profile: DeviceProfile


class BusPoller(Protocol):
    """Polls one line for ever; one request in flight."""

    async def run(self) -> None:
        """Poll until cancelled. Faults of the line never leave it."""

    def read_now(self, device_id: DeviceId) -> None:
        """Put all groups of a device at the head of the queue, also of a silent one."""

    def snapshot(self) -> BusSnapshot:
        """Newest statistics of the line."""

    def device_statistics(self, device_id: DeviceId) -> RequestStatistics:
        """Newest statistics of one device."""

    def device_period_s(self, device_id: DeviceId) -> float | None:
        """Measured period of the device's fastest group."""

    def unsupported(self, device_id: DeviceId) -> tuple[str, ...]:
        """Blocks the device refuses, in words with register and quantity."""


class BusPollerFactory(Protocol):
    """Makes the poller of one line."""

    def __call__(
        self, gateway: Gateway, devices: Sequence[EquippedDevice], listener: BusListener, clock: Clock
    ) -> BusPoller:
        """The poller of a gateway's devices."""
        ...


class BusPlanner(Protocol):
    """Says which reads a line needs."""

    def __call__(self, gateway: Gateway, devices: Sequence[EquippedDevice]) -> BusPlan:
        """The fewest reads that serve all groups of all devices."""
        ...


# --- history ---------------------------------------------------------------------------------------


class HistoryWriter(Protocol):
    """The one writer thread of a data folder. `submit` never blocks and never loses a batch: what the
    database refuses is spilled to a file and replayed."""

    def submit(self, batch: MinuteBatch) -> None:
        """Queue a minute. Any thread."""

    def replace_installation(self, installation: Installation) -> Installation:
        """Store a new installation and return it with its revision. Blocks until committed.

        Raises:
            StorageFault: It could not be stored; nothing was changed.
        """

    def set_retention(self, policy: RetentionPolicy) -> None:
        """Change how long minutes are kept."""

    def last_saved_minute_ms(self) -> int:
        """Start of the newest minute committed, 0 for none."""

    def notices(self) -> tuple[Notice, ...]:
        """Trouble of the storage, in words."""

    def close(self) -> None:
        """Commit what is queued and stop."""


class HistoryReader(Protocol):
    """Reads of one data folder, from any thread, each short (read transactions of 2 seconds at most)."""

    def load_installation(self) -> Installation | None:
        """The stored installation, None when none was stored yet."""

    def load_minutes(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> MinuteSeries:
        """Minutes in [start_ms, end_ms) of an instant."""

    def load_counts(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> CountSeries:
        """Readings of a counter in [start_ms, end_ms)."""

    def load_device_counts(self, device_id: DeviceId, start_ms: int, end_ms: int) -> Mapping[str, CountSeries]:
        """Readings of all counters of a device in [start_ms, end_ms), by quantity, seen at one moment."""

    def load_rollup(
        self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int, resolution: Resolution
    ) -> RollupSeries:
        """Local hours or days that start in [start_ms, end_ms)."""

    def load_device_day(self, device_id: DeviceId, day_start_ms: int) -> Mapping[str, MinuteSeries]:
        """All instants of one UTC day, by quantity."""

    def load_gaps(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[GapRun]:
        """Runs of minutes without a good value that were due."""

    def load_states(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[StateChange]:
        """Changes in the range, preceded by the last one before it if any."""

    def load_events(self, start_ms: int, end_ms: int) -> Sequence[Event]:
        """Events in the range, ascending."""

    def series(self, device_id: DeviceId | None = None) -> Sequence[SeriesInfo]:
        """What has history."""

    def storage_report(self) -> StorageReport:
        """Files, sizes and forecast."""

    def close(self) -> None:
        """Close the connections of all threads."""


class HistoryImporter(Protocol):
    """Writes many days at once (demo history, later imports), straight into packed day chunks."""

    def import_minutes(
        self,
        device_id: DeviceId,
        column: SeriesColumn,
        start_ms: int,
        values: NDArray[np.int64],
        is_good: NDArray[np.bool_] | None = None,
    ) -> None:
        """Minutes from `start_ms` (whole minute) on, scaled integers or raw counts, shape (n,).

        Where `is_good` is False the minute is kept as not recorded. Roll-ups are built along.
        """

    def import_states(self, changes: Sequence[StateChange]) -> None:
        """State changes, ascending."""

    def add_epoch(self, epoch: CounterEpoch) -> None:
        """Factor of a counter from a moment on."""

    def finish(self) -> None:
        """Seal finished months and make all of it durable."""


# --- the port between acquisition + writer and everything else ---------------------------------------


@dataclass(frozen=True, slots=True)
class ReadNow:
    """Ask a device at once."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class ReplaceInstallation:
    """Take a new installation; acquisition restarts the lines that changed."""

    installation: Installation


@dataclass(frozen=True, slots=True)
class SetRetention:
    """Change how long minutes are kept."""

    policy: RetentionPolicy


Command = ReadNow | ReplaceInstallation | SetRetention


class SupervisionPort(Protocol):
    """Snapshots in, commands out: in-process acquisition or a running `collect`, the same to a window."""

    def subscribe(self, listener: Callable[[SiteSnapshot], None]) -> Callable[[], None]:
        """Call `listener` with each merged snapshot, in a thread of the port's own; returns the way out."""

    def latest(self) -> SiteSnapshot | None:
        """The newest snapshot, None before the first."""

    def send(self, command: Command) -> None:
        """Hand a command over; returns at once. Its effect shows in later snapshots.

        Raises:
            EnvironmentFault: The other side is gone.
        """
