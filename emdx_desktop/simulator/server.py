"""The demo plant at work: every line open, every meter counting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.simulator.building import DemoBuilding, DemoLine
from emdx_desktop.simulator.device import SimulatedDevice
from emdx_desktop.simulator.faults import FaultSwitches
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.meters import MINUTE_MS, CounterTotals, MeterSource, estimate_totals, list_counters
from emdx_desktop.simulator.open_line import OpenLine, choose_line_framing, open_line

GATEWAY_TIMEOUT_MS = 800
"""Of the demo gateways: below the second a client waits, so that it hears of a silent device in words."""


class SimulatedSite:
    """The plant's lines on loopback.

    Attributes:
        links: Link of each line by its name, once started.
        faults: Switches; targets are the names of devices and lines.
        lines: By name, for their counts of transactions.
        sources: The live meter behind each device, by name.
    """

    def __init__(
        self,
        building: DemoBuilding,
        totals: Mapping[str, CounterTotals] | None = None,
        *,
        now_ms: Callable[[], float] | None = None,
        seed: int = 0,
    ) -> None:
        """Build all devices.

        Args:
            building: The plant.
            totals: Counters to go on from, by device; what is missing has counted for two years.
            now_ms: UTC clock, epoch milliseconds; the computer's own when not given.
            seed: For noise and garbage on purpose.
        """
        self.links: dict[str, str] = {}
        self.faults = FaultSwitches()
        self.lines: dict[str, SimulatedLine] = {}
        self.sources: dict[str, MeterSource] = {}
        self._open: list[OpenLine] = []
        self._building = building
        self._now_ms = now_ms or (lambda: time.time() * 1000)
        self._seed = seed
        devices = [self._build_device(name, totals or {}) for name in building.devices]
        for line in building.lines.values():
            hanging = [device for device in devices if building.devices[device.name].line == line.name]
            self.lines[line.name] = self._build_line(line, hanging)

    def _build_device(self, name: str, totals: Mapping[str, CounterTotals]) -> SimulatedDevice:
        building = self._building
        defined, profile = building.devices[name], building.profiles[name]
        counters = list_counters(profile)
        start = totals.get(name)
        if start is None or not start.totals.keys() >= set(counters):
            minute = int(self._now_ms()) // MINUTE_MS
            start = estimate_totals(defined.model, building.calendar, counters, minute)
        self.sources[name] = MeterSource(defined.model, building.calendar, start)
        device = SimulatedDevice(
            name,
            profile,
            defined.unit_id,
            self.sources[name],
            settings=defined.settings,
            texts=defined.texts,
            assumed_scales=defined.scales,
            latency_ms=building.latency_ms(name),
        )
        self.faults.register((name, defined.line), device.carry_out)
        return device

    def _build_line(self, line: DemoLine, devices: list[SimulatedDevice]) -> SimulatedLine:
        stations = {unit_id: device for device in devices for unit_id in device.unit_ids}
        return SimulatedLine(
            line.name,
            stations,
            line.settings,
            framing=choose_line_framing(line.scheme, line.settings is not None),
            faults=self.faults,
            now_ms=self._now_ms,
            seed=self._seed,
        )

    async def start(self) -> Mapping[str, str]:
        """Open all lines; returns their links.

        Raises:
            EnvironmentFault: A line cannot be opened here; none is left open.
        """
        try:
            for name, line in self.lines.items():
                scheme = self._building.lines[name].scheme
                self._open.append(await open_line(line, scheme, timeout_ms=GATEWAY_TIMEOUT_MS))
                self.links[name] = self._open[-1].link
        except EnvironmentFault:
            await self.stop()
            raise
        return self.links

    async def stop(self) -> None:
        """Close all lines."""
        while self._open:
            await self._open.pop().stop()
        self.links.clear()
