"""The demo plant: panels, lines, meters of several makes, and what hangs behind them (own design).

Sub-meters add up to the incomer minus a small rest that nobody measures; the roof feeds in.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.installation import LineSettings, LinkScheme, Parity
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.simulator import load_patterns as patterns
from emdx_desktop.simulator.loads import LoadDef, SupplyDef
from emdx_desktop.simulator.local_time import LocalCalendar
from emdx_desktop.simulator.meters import ElectricalModel, FlowModel, Model

ZONE = "Europe/Paris"
UNDOCUMENTED_LATENCY_MS = 10
"""For devices whose document promises no response time; a quick one, as the prediction of a cycle knows of none."""

MAIN = SupplyDef("Main panel", 710, 2.2)
WORKSHOP = SupplyDef("Workshop panel", 720, 4.1)
ROOF = SupplyDef("Roof and car park", 730, 1.4)
UTILITIES = "Water, gas"
INCOMER = "QF0 Incomer"


@dataclass(frozen=True, slots=True)
class DemoLine:
    """One line of the demo plant.

    Attributes:
        name: Gateway name in the site file.
        scheme: How it is reached.
        panel: Panel it belongs to.
        settings: Of its serial line, None for an Ethernet meter.
    """

    name: str
    scheme: LinkScheme
    panel: str
    settings: LineSettings | None


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """One meter of the demo plant.

    Attributes:
        name: Name in the site file.
        line: Name of its line.
        catalogue_model: What the site file calls its model.
        unit_id: Address.
        model: What it measures.
        circuit: Circuit in the site file.
        zones: Zones in the site file.
        role: Role in the site file.
        settings: Raw values of auxiliary points, e.g. the CT ratio.
        texts: Content of ASCII points.
        scales: Base units a count the installer entered where the document gives none.
    """

    name: str
    line: str
    catalogue_model: str
    unit_id: int
    model: Model
    circuit: str
    zones: tuple[str, ...] = ()
    role: str = "consumer"
    settings: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def is_branch(self) -> bool:
        """The incomer measures its power too."""
        return isinstance(self.model, ElectricalModel) and self.name != INCOMER


def _loads() -> dict[str, LoadDef]:
    even = (0.34, 0.33, 0.33)
    defined = (
        LoadDef("lighting", patterns.lighting, 1000, (0.36, 0.33, 0.31), -0.08, 0.4, 16, 24),
        LoadDef("hvac", patterns.hvac, 1100, even, 0.46, 1.0, 45, 14),
        LoadDef("compressed air", patterns.compressed_air, 1200, even, 0.58, 2.0, 46, 9),
        LoadDef("machines", patterns.machines, 1300, (0.35, 0.34, 0.31), 0.62, 2.5, 36, 22),
        LoadDef("paint oven", patterns.paint_oven, 1400, even, 0.05, 0.0, 66, 4),
        LoadDef("process cooling", patterns.process_cooling, 1500, even, 0.52, 0.5, 16, 11),
        LoadDef("office sockets", patterns.office_sockets, 1600, (0.41, 0.32, 0.27), 0.12, -0.3, 11, 38),
        LoadDef("server room", patterns.server_room, 1700, (0.35, 0.33, 0.32), -0.1, 0.0, 7, 9),
        LoadDef("kitchen", patterns.kitchen, 1800, (0.38, 0.34, 0.28), 0.08, 0.0, 16, 7),
        LoadDef("ev charging", patterns.ev_charging, 1900, even, 0.02, -0.01, 15, 6),
        LoadDef("hot water", patterns.hot_water, 2000, (1.0, 0.0, 0.0), 0.0, 0.0, 6, 3),
        LoadDef("welding", patterns.welding, 2100, even, 0.95, 0.1, 14, 34),
        LoadDef("photovoltaics", patterns.photovoltaics, 2200, even, -0.03, 0.0, 25, 3, True),
        LoadDef("incomer", patterns.unmeasured_rest, 2300, even, 0.3, 0.0, 240, 10),
    )
    return {load.name: load for load in defined}


def _devices(lines: Mapping[str, DemoLine]) -> tuple[DemoDevice, ...]:
    loads = _loads()
    branches = tuple(load for name, load in loads.items() if name != "incomer")

    def meter(load: str, supply: SupplyDef = MAIN) -> Model:
        return ElectricalModel(loads[load], supply)

    def transformer(ratio: int) -> dict[str, int]:
        return {"ct_ratio": ratio, "ct_primary": 5 * ratio, "ct_secondary": 5, "network_type": 5}

    hot_water_scales = {
        "active_power": Fraction(1, 100),
        "active_energy_import": Fraction(10),
        "active_energy_import_partial": Fraction(10),
    }
    main, workshop = lines["GW1"].name, lines["GW2"].name
    incomer = ElectricalModel(loads["incomer"], MAIN, branches)
    countis = {"extended_name": "COUNTIS E27", "vendor_name": "SOCOMEC", "product_name": "COUNTIS"}
    return (
        DemoDevice(INCOMER, main, "4 120 45", 1, incomer, "Incomer", ("Site",), "both", transformer(80)),
        DemoDevice(
            "QF1 Lighting",
            main,
            "0 146 68",
            2,
            meter("lighting"),
            "Lighting",
            ("Floor 1", "Hall"),
            settings=transformer(10),
        ),
        DemoDevice(
            "QF2 HVAC roof unit", main, "4 120 45", 3, meter("hvac"), "Heating", ("Offices",), settings=transformer(20)
        ),
        DemoDevice("QF7 Office sockets", main, "eastron-sdm630", 4, meter("office sockets"), "Sockets", ("Offices",)),
        DemoDevice("QF8 Server room", main, "EM340", 5, meter("server room"), "Sockets", ("Offices",)),
        DemoDevice(
            "QF9 Kitchen", main, "0 146 68", 6, meter("kitchen"), "Others", ("Offices",), settings=transformer(10)
        ),
        DemoDevice("QF10 EV charging", main, "eastron-sdm630", 7, meter("ev charging", ROOF), "Others", ("Car park",)),
        DemoDevice(
            "QF11 Hot water", main, "0 046 77", 8, meter("hot water"), "Heating", ("Offices",), scales=hot_water_scales
        ),
        DemoDevice(
            "QF3 Compressed air",
            workshop,
            "0 146 68",
            11,
            meter("compressed air", WORKSHOP),
            "Process",
            ("Hall",),
            settings=transformer(30),
        ),
        DemoDevice(
            "QF4 Machines",
            workshop,
            "4 120 45",
            12,
            meter("machines", WORKSHOP),
            "Process",
            ("Hall",),
            settings=transformer(30),
        ),
        DemoDevice(
            "QF5 Paint oven", workshop, "eastron-sdm630", 13, meter("paint oven", WORKSHOP), "Process", ("Hall",)
        ),
        DemoDevice(
            "QF6 Process cooling",
            workshop,
            "generic-modbus-meter",
            14,
            meter("process cooling", WORKSHOP),
            "Cooling",
            ("Hall",),
        ),
        DemoDevice("QF12 Welding", workshop, "EM340", 17, meter("welding", WORKSHOP), "Process", ("Hall",)),
        DemoDevice(
            "PV inverter",
            lines["PV"].name,
            "4850 3054",
            5,
            meter("photovoltaics", ROOF),
            "PV",
            ("Roof",),
            "producer",
            texts=countis,
        ),
        DemoDevice(
            "Cold water",
            lines["COM1"].name,
            "generic-water-meter",
            1,
            FlowModel("water", patterns.cold_water, 2400),
            "Water",
        ),
        DemoDevice(
            "Gas boiler", lines["COM1"].name, "generic-gas-meter", 2, FlowModel("gas", patterns.gas_boiler, 2500), "Gas"
        ),
    )


class DemoBuilding:
    """The whole plant with the profile of each meter.

    Attributes:
        lines: By name.
        devices: By name, sub-meters before the incomer that adds them up.
        profiles: Of each device, by its name.
        calendar: Local time of the plant.
    """

    def __init__(self, catalogue: ProfileCatalogue) -> None:
        """Find the profiles.

        Raises:
            ConfigurationError: A model is not in the catalogue.
        """
        # a serial port of this computer needs a pseudo-terminal, which Windows has not
        serial = LinkScheme.RTU_TCP if sys.platform == "win32" else LinkScheme.RTU
        defined = (
            DemoLine("GW1", LinkScheme.TCP, MAIN.panel, LineSettings(19200)),
            DemoLine("GW2", LinkScheme.RTU_TCP, WORKSHOP.panel, LineSettings(19200)),
            DemoLine("PV", LinkScheme.TCP, ROOF.panel, None),
            DemoLine("COM1", serial, UTILITIES, LineSettings(19200, Parity.EVEN)),
        )
        self.lines = {line.name: line for line in defined}
        devices = _devices(self.lines)
        self.devices = {device.name: device for device in devices}
        self.calendar = LocalCalendar(ZONE)
        self.profiles: dict[str, DeviceProfile] = {}
        problems = []
        for device in devices:
            profile = catalogue.find(device.catalogue_model)
            if profile is None:
                problems.append(Problem(device.name, f"the model {device.catalogue_model} has no profile"))
            else:
                self.profiles[device.name] = profile
        if problems:
            raise ConfigurationError(problems)

    def latency_ms(self, name: str) -> float:
        """Response latency of a device: its document's, or a usual one."""
        return self.profiles[name].response_ms or UNDOCUMENTED_LATENCY_MS

    def write_site_file(self, links: Mapping[str, str]) -> str:
        """The site file with the addresses the lines really have.

        Args:
            links: Link of each line by its name, e.g. `tcp://127.0.0.1:40123`.
        """
        parts = [
            "# The simulated plant. Every value in it is made up.\n",
            f'[site]\nname = "North plant"\ntimezone = "{ZONE}"\ncurrency = "EUR"\n'
            'description = "Simulated building"\n',
        ]
        panels = dict.fromkeys(line.panel for line in self.lines.values())
        parts += [f'[[panel]]\nname = "{panel}"\n' for panel in panels]
        for line in self.lines.values():
            text = f'[[gateway]]\nname = "{line.name}"\nlink = "{links[line.name]}"\npanel = "{line.panel}"\n'
            if line.settings is not None:
                baud, parity, stopbits = line.settings.baud, line.settings.parity, line.settings.stopbits
                text += f'line = {{ baud = {baud}, parity = "{parity}", stopbits = {stopbits} }}\n'
            parts.append(text)
        parts += [self._write_device(device) for device in self.devices.values()]
        return "\n".join(parts)

    @staticmethod
    def _write_device(device: DemoDevice) -> str:
        lines = [
            "[[device]]",
            f'name = "{device.name}"',
            f'gateway = "{device.line}"',
            f'model = "{device.catalogue_model}"',
            f"unit_id = {device.unit_id}",
            f'circuit = "{device.circuit}"',
            f'role = "{device.role}"',
        ]
        if device.is_branch:
            lines.append(f'fed_by = "{INCOMER}"')
        if device.zones:
            lines.append("zones = [" + ", ".join(f'"{zone}"' for zone in device.zones) + "]")
        if device.scales:
            scales = ", ".join(f'{key} = "{scale}"' for key, scale in device.scales.items())
            lines.append(f"scales = {{ {scales} }}")
        return "\n".join(lines) + "\n"
