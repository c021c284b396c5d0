"""The newest value of everything, merged into snapshots in which only what changed is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from types import MappingProxyType

from emdx_desktop.domain.ports import BusPoller
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    GatewayId,
    GroupReadings,
    LiveValue,
    Notice,
    Quality,
    RequestStatistics,
    SiteSnapshot,
)

_GOOD = int(Quality.GOOD)
_MAX_FACTOR_TUPLES = 10_000


class _LiveDevice:
    """What is known of one device now."""

    __slots__ = ("detail", "is_dirty", "last_good_ts_ms", "poller", "snapshot", "state", "values")

    def __init__(self, state: DeviceState, detail: str, poller: BusPoller | None) -> None:
        self.state = state
        self.detail = detail
        self.poller = poller
        self.values: dict[str, LiveValue] = {}
        self.last_good_ts_ms = 0
        self.is_dirty = True
        self.snapshot: DeviceSnapshot | None = None


class LiveBoard:
    """Collects readings and states; hands out merged snapshots."""

    def __init__(self) -> None:
        self._devices: dict[DeviceId, _LiveDevice] = {}
        self._float_factors: dict[int, tuple[tuple[Fraction | None, ...], tuple[float, ...]]] = {}
        self._sequence = 0
        self._latest: SiteSnapshot | None = None

    def place(self, device_id: DeviceId, state: DeviceState, detail: str, poller: BusPoller | None) -> None:
        """Show a device from now on; values it had are kept."""
        known = self._devices.get(device_id)
        device = self._devices[device_id] = _LiveDevice(state, detail, poller)
        if known is not None:
            device.values = known.values
            device.last_good_ts_ms = known.last_good_ts_ms

    def keep_only(self, device_ids: Iterable[DeviceId]) -> None:
        """Drop every other device."""
        wanted = set(device_ids)
        self._devices = {id_: device for id_, device in self._devices.items() if id_ in wanted}

    def take(self, readings: GroupReadings) -> None:
        """A group was read, or failed."""
        device = self._devices.get(readings.layout.device_id)
        if device is None:
            return
        values, ts_ms = device.values, readings.ts_ms
        is_any_good = False
        for id_, value, code, factor in zip(
            readings.layout.quantities, readings.values, readings.qualities, self._floats(readings.factors), strict=True
        ):
            if code == _GOOD and value is not None:
                is_any_good = True
                # LiveValue(...) without the cost of its own constructor: thousands a second on a large site
                values[id_] = tuple.__new__(LiveValue, (value * factor, Quality.GOOD, ts_ms, ""))
            else:
                known = values.get(id_)
                values[id_] = LiveValue(
                    known.value if known else None,
                    Quality(code) if code else Quality.IMPLAUSIBLE,
                    known.ts_ms if known else 0,
                    readings.detail,
                )
        if is_any_good:
            device.last_good_ts_ms = max(device.last_good_ts_ms, ts_ms)
        device.is_dirty = True

    def _floats(self, factors: tuple[Fraction | None, ...]) -> tuple[float, ...]:
        """Factors for display, worked out once for each tuple a poller hands over again and again."""
        known = self._float_factors.get(id(factors))
        if known is None or known[0] is not factors:
            if len(self._float_factors) >= _MAX_FACTOR_TUPLES:
                self._float_factors.clear()
            known = (factors, tuple(1.0 if factor is None else float(factor) for factor in factors))
            self._float_factors[id(factors)] = known
        return known[1]

    def set_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        """A device changed state."""
        device = self._devices.get(device_id)
        if device is not None:
            device.state, device.detail, device.is_dirty = state, detail, True

    def build(
        self,
        ts_ms: int,
        buses: Mapping[GatewayId, BusSnapshot],
        notices: tuple[Notice, ...],
        last_saved_minute_ms: int,
        installation_revision: int,
    ) -> SiteSnapshot | None:
        """The merged snapshot; None when nothing changed since the last one."""
        has_changed = False
        for id_, device in self._devices.items():
            if device.is_dirty:
                device.snapshot = self._build_device(id_, device)
                device.is_dirty = False
                has_changed = True
        latest = self._latest
        if (
            latest is not None
            and not has_changed
            and latest.devices.keys() == self._devices.keys()
            and latest.buses == buses
            and latest.notices == notices
            and latest.last_saved_minute_ms == last_saved_minute_ms
            and latest.installation_revision == installation_revision
        ):
            return None
        self._sequence += 1
        snapshots = {id_: device.snapshot for id_, device in self._devices.items() if device.snapshot is not None}
        self._latest = SiteSnapshot(
            self._sequence,
            ts_ms,
            MappingProxyType(snapshots),
            MappingProxyType(dict(buses)),
            notices,
            last_saved_minute_ms,
            installation_revision,
        )
        return self._latest

    @staticmethod
    def _build_device(device_id: DeviceId, device: _LiveDevice) -> DeviceSnapshot:
        poller = device.poller
        return DeviceSnapshot(
            device_id,
            device.state,
            MappingProxyType(device.values.copy()),
            device.last_good_ts_ms,
            poller.device_period_s(device_id) if poller else None,
            poller.device_statistics(device_id) if poller else RequestStatistics(),
            poller.unsupported(device_id) if poller else (),
            device.detail,
        )
