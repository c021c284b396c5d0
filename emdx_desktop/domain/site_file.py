"""The site file: the whole installation as one TOML file a person can read, write and keep.

Own design; its keys are described in README.md. Every mistake is found in one go. A device keeps its identity
by `id`, otherwise by its name in the installation before; what is missing is archived, never deleted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from zoneinfo import available_timezones

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.checked_table import (
    MAX_DESCRIPTION_LENGTH,
    CheckedTable,
    kind_word,
    nearest,
)
from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.feeders import is_in_circle
from emdx_desktop.domain.installation import (
    BAUD_RATES,
    Device,
    Gateway,
    Installation,
    LineSettings,
    Link,
    LinkScheme,
    Panel,
    Role,
    Site,
    SupplyDirection,
    TransactionIdCheck,
)
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.readings import DeviceId, GatewayId

MAX_SITE_FILE_CHARACTERS = 4_000_000
"""About 8,000 devices with everything filled in; a larger file is a mistake."""

MAX_ID = 999_999
HIGHEST_UNIT_ID = 255
HIGHEST_STANDARD_UNIT_ID = 247
"""Modbus over Serial Line V1.02, section 2.2: 248 to 255 are reserved; makers document up to 255."""

_TOP_KEYS = ("site", "panel", "gateway", "device")
_SITE_KEYS = ("name", "timezone", "currency", "description")
_PANEL_KEYS = ("name", "description")
_GATEWAY_KEYS = (
    "name",
    "id",
    "link",
    "panel",
    "line",
    "timeout_ms",
    "pause_ms",
    "tid_check",
    "enabled",
    "description",
)
_LINE_KEYS = ("baud", "parity", "stopbits", "databits")
_DEVICE_KEYS = (
    "name",
    "id",
    "gateway",
    "model",
    "unit_id",
    "circuit",
    "zones",
    "position",
    "side",
    "phase",
    "supply",
    "role",
    "fed_by",
    "scales",
    "enabled",
    "description",
)
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_SUB_ADDRESS = re.compile(r"([0-9]{1,4})-([0-9]{1,4})\Z")
_FRACTION = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?(/[1-9][0-9]{0,17})?\Z")


@dataclass(frozen=True, slots=True)
class ParsedSite:
    """A site file that was understood.

    Attributes:
        installation: Ready to be stored; its revision is the one of the installation before.
        warnings: Worth a look, but allowed.
    """

    installation: Installation
    warnings: tuple[Problem, ...]


def parse_site_file(text: str, catalogue: ProfileCatalogue, previous: Installation | None = None) -> ParsedSite:
    """Understand a site file.

    Args:
        text: The file's content.
        catalogue: Models that can be read.
        previous: The installation that is replaced; gives stable ids and what is archived.
    Raises:
        ConfigurationError: Every mistake in the file, each with its key and what is allowed.
    """
    return _SiteFileParser(catalogue, previous).parse(text)


class _SiteFileParser:
    """One pass over one file."""

    def __init__(self, catalogue: ProfileCatalogue, previous: Installation | None) -> None:
        self._catalogue = catalogue
        self._previous = previous
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def parse(self, text: str) -> ParsedSite:
        top = CheckedTable(_load_toml(text), "", self._problems)
        top.check_keys(_TOP_KEYS)
        site = self._parse_site(top)
        panels = tuple(self._parse_panel(table) for table in self._tables(top, "panel"))
        self._refuse_doubles("panel", [panel.name for panel in panels])
        gateways = self._parse_gateways(self._tables(top, "gateway"), {panel.name for panel in panels})
        devices = self._parse_devices(self._tables(top, "device"), {gateway.name for gateway in gateways})
        if self._problems:
            raise ConfigurationError(self._problems)
        return ParsedSite(self._assemble(site, panels, gateways, devices), tuple(self._warnings))

    def _tables(self, top: CheckedTable, key: str) -> list[CheckedTable]:
        found = top.raw(key)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self._problems.append(Problem(key, f"must be written as [[{key}]], one for each {key}."))
            return []
        tables = []
        for number, table in enumerate(found, 1):
            name = table.get("name")
            label = f' "{name[:40]}"' if isinstance(name, str) else ""
            tables.append(CheckedTable(table, f"{key}[{number}]{label}", self._problems))
        return tables

    def _refuse_doubles(self, kind: str, names: Sequence[str]) -> None:
        seen: set[str] = set()
        for number, name in enumerate(names, 1):
            if name and name in seen:
                self._problems.append(Problem(f'{kind}[{number}] "{name}".name', f"is the name of another {kind}."))
            seen.add(name)

    # --- site, panels ------------------------------------------------------------------------------

    def _parse_site(self, top: CheckedTable) -> Site:
        found = top.raw("site")
        if not isinstance(found, dict):
            message = "is missing." if found is None else f"must be a table, not {kind_word(found)}."
            self._problems.append(Problem("site", f"{message} Write [site] with name and timezone."))
            return Site("", "UTC")
        table = CheckedTable(found, "site", self._problems)
        table.check_keys(_SITE_KEYS)
        currency = table.text("currency", "EUR")
        if not _CURRENCY.match(currency):
            table.report("currency", f'is "{currency}"; write the three capitals of ISO 4217, such as EUR.')
        return Site(
            name=table.text("name", is_required=True),
            timezone=self._parse_zone(table),
            currency=currency,
            description=table.text("description", max_length=MAX_DESCRIPTION_LENGTH),
        )

    @staticmethod
    def _parse_zone(table: CheckedTable) -> str:
        zone = table.text("timezone", is_required=True)
        if zone:
            known = available_timezones()
            if zone not in known:
                hint = nearest(zone, known)
                table.report("timezone", f'"{zone}" is not a time zone of the IANA list, such as Europe/Paris.{hint}')
        return zone

    @staticmethod
    def _parse_panel(table: CheckedTable) -> Panel:
        table.check_keys(_PANEL_KEYS)
        return Panel(table.text("name", is_required=True), table.text("description", max_length=MAX_DESCRIPTION_LENGTH))

    # --- gateways ----------------------------------------------------------------------------------

    def _parse_gateways(self, tables: list[CheckedTable], panels: set[str]) -> list[Gateway]:
        gateways = [self._parse_gateway(table, panels) for table in tables]
        self._refuse_doubles("gateway", [gateway.name for gateway in gateways])
        places: dict[str, str] = {}
        for table, gateway in zip(tables, gateways, strict=True):
            link = gateway.link
            place = link.serial_port or f"{link.host.casefold()}:{link.port}"
            if place != ":0" and place in places:
                table.report("link", f'leads to {place}, as does "{places[place]}"; one line is polled by one gateway.')
            places.setdefault(place, gateway.name)
        known = self._previous.gateways if self._previous else ()
        ids = self._stable_ids(
            tables,
            [(int(gateway.id), gateway.name) for gateway in gateways],
            [(int(gateway.id), gateway.name) for gateway in known],
        )
        return [replace(gateway, id=GatewayId(id_)) for gateway, id_ in zip(gateways, ids, strict=True)]

    def _parse_gateway(self, table: CheckedTable, panels: set[str]) -> Gateway:
        table.check_keys(_GATEWAY_KEYS)
        link = self._parse_link(table)
        panel = table.text("panel")
        if panel and panel not in panels:
            table.report("panel", f'"{panel}" is not one of the panels.{nearest(panel, panels)}')
        timeout_ms = table.integer("timeout_ms", 50, 60_000)
        return Gateway(
            id=GatewayId(table.integer("id", 1, MAX_ID) or 0),
            name=table.text("name", is_required=True),
            link=link or Link(LinkScheme.TCP),
            panel=panel,
            line=self._parse_line(table, link),
            timeout_ms=1000 if timeout_ms is None else timeout_ms,
            pause_ms=table.integer("pause_ms", 0, 10_000) or 0,
            tid_check=table.choice("tid_check", TransactionIdCheck.STRICT),
            is_enabled=table.flag("enabled", True),
            description=table.text("description", max_length=MAX_DESCRIPTION_LENGTH),
        )

    @staticmethod
    def _parse_link(table: CheckedTable) -> Link | None:
        text = table.text("link", is_required=True, max_length=300)
        if not text:
            return None
        try:
            return parse_link(text)
        except ValueError as error:
            table.report("link", str(error))
            return None

    @staticmethod
    def _parse_line(table: CheckedTable, link: Link | None) -> LineSettings | None:
        is_ascii = link is not None and link.scheme in (LinkScheme.ASCII, LinkScheme.ASCII_TCP)
        default = LineSettings(databits=7 if is_ascii else 8)
        line = table.table("line")
        if line is None:
            return default if link is not None and link.is_serial else None
        line.check_keys(_LINE_KEYS)
        databits = line.number_of("databits", (7, 8), default.databits)
        if databits == 7 and link is not None and not is_ascii:
            line.report("databits", "is 7; that is allowed on an ASCII line only, RTU needs 8.")
        return LineSettings(
            baud=line.number_of("baud", BAUD_RATES, default.baud),
            parity=line.choice("parity", default.parity),
            stopbits=line.number_of("stopbits", (1, 2), default.stopbits),
            databits=databits,
        )

    # --- devices -----------------------------------------------------------------------------------

    def _parse_devices(self, tables: list[CheckedTable], gateways: set[str]) -> list[Device]:
        parsed = [self._parse_device(table, gateways) for table in tables]
        devices = [device for device, _ in parsed]
        self._refuse_doubles("device", [device.name for device in devices])
        self._refuse_wrong_feeders(tables, devices)
        self._refuse_shared_addresses(tables, parsed)
        known = self._previous.devices if self._previous else ()
        # a device of today comes before an archived one of the same name
        ranked = sorted(known, key=lambda device: device.is_archived)
        ids = self._stable_ids(
            tables,
            [(int(device.id), device.name) for device in devices],
            [(int(device.id), device.name) for device in ranked],
        )
        return [replace(device, id=DeviceId(id_)) for device, id_ in zip(devices, ids, strict=True)]

    def _parse_device(self, table: CheckedTable, gateways: set[str]) -> tuple[Device, DeviceProfile | None]:
        table.check_keys(_DEVICE_KEYS)
        gateway = table.text("gateway", is_required=True)
        if gateway and gateway not in gateways:
            table.report("gateway", f'"{gateway}" is not one of the gateways.{nearest(gateway, gateways)}')
        model = table.text("model", is_required=True)
        profile = self._find_profile(table, model)
        unit_id, sub_address = self._parse_unit_id(table, profile)
        device = Device(
            id=DeviceId(table.integer("id", 1, MAX_ID) or 0),
            name=table.text("name", is_required=True),
            gateway=gateway,
            model=model,
            profile_id=profile.id if profile else "",
            unit_id=unit_id,
            sub_address=sub_address,
            description=table.text("description", max_length=MAX_DESCRIPTION_LENGTH),
            circuit=table.text("circuit"),
            zones=table.names("zones"),
            position=table.integer("position", 1, 255),
            side=table.text("side"),
            phase=table.text("phase"),
            supply=table.choice("supply", SupplyDirection.UPSTREAM),
            role=table.choice("role", Role.CONSUMER),
            fed_by=table.text("fed_by"),
            scales=self._parse_scales(table, profile),
            is_enabled=table.flag("enabled", True),
        )
        return device, profile

    def _find_profile(self, table: CheckedTable, model: str) -> DeviceProfile | None:
        if not model:
            return None
        profile = self._catalogue.find(model)
        if profile is None:
            numbers = [number for known in self._catalogue.profiles.values() for number in known.catalogue_numbers]
            hint = nearest(model, [*self._catalogue.profiles, *numbers])
            table.report("model", f'"{model}" is not in the catalogue; write a catalogue number or a profile id.{hint}')
        elif profile.is_simulation_only:
            message = f'"{model}" has no public register table; it is read after its maker\'s table has been imported.'
            self._warnings.append(Problem(f"{table.where}.model", message))
        return profile

    def _parse_unit_id(self, table: CheckedTable, profile: DeviceProfile | None) -> tuple[int, int | None]:
        found = table.raw("unit_id")
        sub_address: int | None = None
        default = profile.unit_id_default if profile else None
        if found is None:
            table.report("unit_id", "is missing." + (f" The works setting is {default}." if default else ""))
            return 0, None
        match = _SUB_ADDRESS.match(found) if isinstance(found, str) else None
        if match:
            unit_id, sub_address = int(match[1]), int(match[2])
            if not 1 <= sub_address <= HIGHEST_UNIT_ID:
                table.report("unit_id", f"names module {sub_address}; allowed are 1 to {HIGHEST_UNIT_ID}.")
        elif isinstance(found, int) and not isinstance(found, bool):
            unit_id = found
        else:
            table.report("unit_id", 'must be a whole number from 1 to 255, or "2-1" for a module behind an interface.')
            return 0, None
        last = unit_id + (_units_taken(profile) - 1 if profile else 0)
        if unit_id < 1:
            table.report("unit_id", f"is {unit_id}; 0 is the broadcast address, allowed are 1 to 255.")
        elif last > HIGHEST_UNIT_ID:
            reach = "" if last == unit_id else f", as the device takes {last - unit_id + 1} addresses up to {last}"
            table.report("unit_id", f"is {unit_id}{reach}; allowed are 1 to 255.")
        elif last > HIGHEST_STANDARD_UNIT_ID:
            message = (
                f"{last} is reserved by the Modbus standard, which ends at 247; it works with devices that allow it."
            )
            self._warnings.append(Problem(f"{table.where}.unit_id", message))
        return unit_id, sub_address

    @staticmethod
    def _parse_scales(table: CheckedTable, profile: DeviceProfile | None) -> Mapping[str, Fraction]:
        scales = table.table("scales")
        if scales is None:
            return {}
        parsed: dict[str, Fraction] = {}
        open_points = [p.key for p in profile.points if p.scale is None and not p.scale_rule] if profile else []
        for key, found in scales.items():
            if profile is not None and key not in open_points:
                allowed = ", ".join(open_points) or "none: all scales of this model are known"
                scales.report(key, f"is not a value whose scale can be entered; allowed are {allowed}.")
                continue
            text = str(found) if isinstance(found, int | float) and not isinstance(found, bool) else found
            if not isinstance(text, str) or not _FRACTION.match(text) or Fraction(_as_ratio(text)) <= 0:
                scales.report(key, 'must be a number above 0, such as 10, 0.1 or "1/3" (base units a count).')
                continue
            parsed[key] = Fraction(_as_ratio(text))
        return parsed

    def _refuse_shared_addresses(
        self, tables: list[CheckedTable], parsed: list[tuple[Device, DeviceProfile | None]]
    ) -> None:
        owners: dict[tuple[str, int], list[Device]] = {}
        for table, (device, profile) in zip(tables, parsed, strict=True):
            clash: Device | None = None
            shared = 0
            for unit_id in range(device.unit_id, device.unit_id + (_units_taken(profile) if profile else 1)):
                others = owners.setdefault((device.gateway, unit_id), [])
                for other in others:
                    if clash is None and device.unit_id > 0 and not _may_share(device, other):
                        clash, shared = other, unit_id
                others.append(device)
            if clash is not None:
                hint = " Give each its own position or module." if clash.profile_id == device.profile_id else ""
                table.report("unit_id", f'{shared} on line "{device.gateway}" belongs to "{clash.name}" already.{hint}')

    def _refuse_wrong_feeders(self, tables: list[CheckedTable], devices: list[Device]) -> None:
        names = {device.name for device in devices}
        feeders = {device.name: device.fed_by for device in devices if device.fed_by}
        for table, device in zip(tables, devices, strict=True):
            if not device.fed_by:
                continue
            if device.fed_by not in names:
                hint = nearest(device.fed_by, names - {device.name})
                table.report("fed_by", f'"{device.fed_by}" is not one of the devices.{hint}')
            elif is_in_circle(device.name, feeders):
                table.report("fed_by", f'"{device.name}" would feed itself; name the meter upstream of it.')

    # --- identity ----------------------------------------------------------------------------------

    def _stable_ids(
        self, tables: list[CheckedTable], wanted: Sequence[tuple[int, str]], known: Sequence[tuple[int, str]]
    ) -> list[int]:
        """Ids for (id in the file or 0, name): the file's, else the known one of that name, else a new one."""
        taken: dict[int, str] = {}
        for table, (id_, name) in zip(tables, wanted, strict=True):
            if id_ and id_ in taken:
                table.report("id", f'{id_} is the id of "{taken[id_]}" already; leave it away for a new one.')
            elif id_:
                taken[id_] = name
        by_name: dict[str, int] = {}
        for id_, name in known:
            by_name.setdefault(name, id_)
        next_id = max([0, *taken, *(id_ for id_, _ in known)]) + 1
        ids = []
        for id_, name in wanted:
            if not id_:
                candidate = by_name.get(name)
                if candidate is None or candidate in taken:
                    candidate, next_id = next_id, next_id + 1
                taken[candidate] = name
                id_ = candidate
            ids.append(id_)
        return ids

    def _assemble(
        self, site: Site, panels: tuple[Panel, ...], gateways: list[Gateway], devices: list[Device]
    ) -> Installation:
        previous = self._previous
        present = {device.id for device in devices}
        if previous is not None:
            devices = devices + [
                replace(device, is_archived=True) for device in previous.devices if device.id not in present
            ]
        circuits = list(previous.circuits) if previous else []
        zones = list(previous.zones) if previous else []
        for device in devices:
            if device.circuit and device.circuit not in circuits:
                circuits.append(device.circuit)
            zones += [zone for zone in device.zones if zone not in zones]
        return Installation(
            site,
            panels,
            tuple(gateways),
            tuple(devices),
            tuple(circuits),
            tuple(zones),
            previous.revision if previous else 0,
        )


def _load_toml(text: str) -> dict[str, object]:
    if len(text) > MAX_SITE_FILE_CHARACTERS:
        message = f"The file has {len(text)} characters; at most {MAX_SITE_FILE_CHARACTERS} are read."
        raise ConfigurationError([Problem("", message)])
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError([Problem("", "The file is nested too deeply to be a site file.")]) from None
    except ValueError as error:  # TOMLDecodeError, and Python's own limit of digits in a number
        raise ConfigurationError([Problem("", f"The file is not valid TOML: {error}.")]) from None


def _units_taken(profile: DeviceProfile) -> int:
    return max(profile.units, 1 + max((point.unit_offset for point in profile.points), default=0))


def _may_share(device: Device, other: Device) -> bool:
    """Pulse inputs of one concentrator, or modules behind one interface, share a unit id."""
    if device.sub_address is not None and other.sub_address is not None and device.sub_address != other.sub_address:
        return True
    return (
        device.profile_id == other.profile_id
        and device.unit_id == other.unit_id
        and device.position is not None
        and other.position is not None
        and device.position != other.position
    )


def _as_ratio(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(numerator) / int(denominator or 1)
