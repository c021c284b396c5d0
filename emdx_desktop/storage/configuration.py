"""The installation as rows, through peewee on the writer's own connection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import apsw
from peewee import CharField, CompositeKey, DatabaseError, IntegerField, Model, SchemaManager, TextField
from playhouse.apsw_ext import APSWDatabase

from emdx_desktop.domain.installation import (
    Device,
    Gateway,
    Installation,
    LineSettings,
    Link,
    LinkScheme,
    Panel,
    Parity,
    Role,
    Site,
    SupplyDirection,
    TransactionIdCheck,
)
from emdx_desktop.domain.readings import DeviceId, GatewayId


class _Row(Model):
    class Meta:
        legacy_table_names = False


class SiteRow(_Row):
    """The one site of the folder, with the installation's revision."""

    id = IntegerField(primary_key=True)
    name = TextField()
    timezone = TextField()
    currency = TextField()
    description = TextField()
    revision = IntegerField()


class PanelRow(_Row):
    """A panel; `position` keeps the order of the site file."""

    position = IntegerField(primary_key=True)
    name = TextField(unique=True)
    description = TextField()


class CircuitRow(_Row):
    """A circuit."""

    position = IntegerField(primary_key=True)
    name = TextField(unique=True)


class ZoneRow(_Row):
    """A zone."""

    position = IntegerField(primary_key=True)
    name = TextField(unique=True)


class GatewayRow(_Row):
    """A line. `baud` 0: no serial line behind it."""

    id = IntegerField(primary_key=True)
    position = IntegerField()
    name = TextField(unique=True)
    scheme = CharField()
    host = TextField()
    port = IntegerField()
    serial_port = TextField()
    panel = TextField()
    baud = IntegerField()
    parity = CharField()
    stopbits = IntegerField()
    databits = IntegerField()
    timeout_ms = IntegerField()
    pause_ms = IntegerField()
    tid_check = CharField()
    is_enabled = IntegerField()
    description = TextField()


class DeviceRow(_Row):
    """A device; archived ones stay for their history."""

    id = IntegerField(primary_key=True)
    position = IntegerField()
    name = TextField()
    gateway = TextField()
    model = TextField()
    profile_id = TextField()
    unit_id = IntegerField()
    sub_address = IntegerField(null=True)
    description = TextField()
    circuit = TextField()
    pulse_position = IntegerField(null=True)
    side = TextField()
    phase = TextField()
    supply = CharField()
    role = CharField()
    fed_by = TextField()
    is_enabled = IntegerField()
    is_archived = IntegerField()


class DeviceZoneRow(_Row):
    """A zone a device belongs to."""

    device = IntegerField()
    position = IntegerField()
    zone = TextField()

    class Meta:
        """Two columns make the key."""

        primary_key = CompositeKey("device", "position")


class ScaleRow(_Row):
    """A scale a person entered, exact: base units per count as a fraction in text."""

    device = IntegerField()
    point = TextField()
    scale = TextField()

    class Meta:
        """Two columns make the key."""

        primary_key = CompositeKey("device", "point")


MODELS = (SiteRow, PanelRow, CircuitRow, ZoneRow, GatewayRow, DeviceRow, DeviceZoneRow, ScaleRow)


class ConnectionDatabase(APSWDatabase):  # type: ignore[misc]  # peewee has no type hints
    """peewee on a connection that is already open, so that configuration and history share one writer."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._given = connection
        super().__init__("live.db", autoconnect=True)

    def _connect(self) -> apsw.Connection:
        return self._given

    def _close(self, conn: apsw.Connection) -> None:
        """The connection's owner closes it."""


@contextlib.contextmanager
def _as_apsw_says() -> Iterator[None]:
    """peewee wraps what the database says; this package tells damage from refusal by apsw's own errors."""
    try:
        yield
    except DatabaseError as error:
        if isinstance(error.__context__, apsw.Error):
            raise error.__context__ from error
        raise


@_as_apsw_says()
def create_tables(connection: apsw.Connection) -> None:
    """Make the tables that are missing."""
    database = ConnectionDatabase(connection)
    for model in MODELS:
        SchemaManager(model, database).create_all(safe=True)


@_as_apsw_says()
def load_installation(connection: apsw.Connection) -> Installation | None:
    """The stored installation, None when none was stored yet."""
    database = ConnectionDatabase(connection)

    def rows(model: Any, order: Any) -> list[Any]:
        return list(model.select().order_by(order).execute(database))

    sites = rows(SiteRow, SiteRow.id)
    if not sites:
        return None
    zones: dict[int, list[str]] = {}
    for row in rows(DeviceZoneRow, DeviceZoneRow.position):
        zones.setdefault(row.device, []).append(row.zone)
    scales: dict[int, dict[str, Fraction]] = {}
    for row in rows(ScaleRow, ScaleRow.point):
        scales.setdefault(row.device, {})[row.point] = Fraction(row.scale)
    site = sites[0]
    return Installation(
        site=Site(site.name, site.timezone, site.currency, site.description),
        panels=tuple(Panel(row.name, row.description) for row in rows(PanelRow, PanelRow.position)),
        gateways=tuple(_gateway(row) for row in rows(GatewayRow, GatewayRow.position)),
        devices=tuple(
            _device(row, tuple(zones.get(row.id, ())), scales.get(row.id, {}))
            for row in rows(DeviceRow, DeviceRow.position)
        ),
        circuits=tuple(row.name for row in rows(CircuitRow, CircuitRow.position)),
        zones=tuple(row.name for row in rows(ZoneRow, ZoneRow.position)),
        revision=site.revision,
    )


def _gateway(row: Any) -> Gateway:
    line = LineSettings(row.baud, Parity(row.parity), row.stopbits, row.databits) if row.baud else None
    return Gateway(
        id=GatewayId(row.id),
        name=row.name,
        link=Link(LinkScheme(row.scheme), row.host, row.port, row.serial_port),
        panel=row.panel,
        line=line,
        timeout_ms=row.timeout_ms,
        pause_ms=row.pause_ms,
        tid_check=TransactionIdCheck(row.tid_check),
        is_enabled=bool(row.is_enabled),
        description=row.description,
    )


def _device(row: Any, zones: tuple[str, ...], scales: dict[str, Fraction]) -> Device:
    return Device(
        id=DeviceId(row.id),
        name=row.name,
        gateway=row.gateway,
        model=row.model,
        profile_id=row.profile_id,
        unit_id=row.unit_id,
        sub_address=row.sub_address,
        description=row.description,
        circuit=row.circuit,
        zones=zones,
        position=row.pulse_position,
        side=row.side,
        phase=row.phase,
        supply=SupplyDirection(row.supply),
        role=Role(row.role),
        fed_by=row.fed_by,
        scales=scales,
        is_enabled=bool(row.is_enabled),
        is_archived=bool(row.is_archived),
    )


@_as_apsw_says()
def replace_installation(connection: apsw.Connection, installation: Installation) -> Installation:
    """Store an installation inside the caller's transaction.

    Devices that it does not name stay, archived, because their history does.

    Returns:
        What is stored now, with the next revision.
    """
    old = load_installation(connection)
    named = {device.id for device in installation.devices}
    kept: tuple[Device, ...] = ()
    if old is not None:
        kept = tuple(replace(device, is_archived=True) for device in old.devices if device.id not in named)
    stored = replace(
        installation,
        devices=(*installation.devices, *kept),
        revision=max(installation.revision, old.revision if old is not None else 0) + 1,
    )
    database = ConnectionDatabase(connection)
    for model in MODELS:
        model.delete().execute(database)
    for model, rows in _rows(stored):
        # SQLite takes 32,766 bound values a statement
        for start in range(0, len(rows), 1000):
            model.insert_many(rows[start : start + 1000]).execute(database)
    return stored


def _rows(installation: Installation) -> list[tuple[Any, list[dict[str, object]]]]:
    site = installation.site
    site_row: dict[str, object] = {
        "id": 1,
        "name": site.name,
        "timezone": site.timezone,
        "currency": site.currency,
        "description": site.description,
        "revision": installation.revision,
    }
    zone_rows: list[dict[str, object]] = []
    scale_rows: list[dict[str, object]] = []
    for device in installation.devices:
        zone_rows += [{"device": device.id, "position": i, "zone": zone} for i, zone in enumerate(device.zones)]
        scale_rows += [{"device": device.id, "point": k, "scale": str(v)} for k, v in device.scales.items()]
    return [
        (SiteRow, [site_row]),
        (
            PanelRow,
            [{"position": i, "name": p.name, "description": p.description} for i, p in enumerate(installation.panels)],
        ),
        (CircuitRow, [{"position": i, "name": name} for i, name in enumerate(installation.circuits)]),
        (ZoneRow, [{"position": i, "name": name} for i, name in enumerate(installation.zones)]),
        (GatewayRow, [_gateway_row(i, gateway) for i, gateway in enumerate(installation.gateways)]),
        (DeviceRow, [_device_row(i, device) for i, device in enumerate(installation.devices)]),
        (DeviceZoneRow, zone_rows),
        (ScaleRow, scale_rows),
    ]


def _gateway_row(position: int, gateway: Gateway) -> dict[str, object]:
    line = gateway.line
    return {
        "id": gateway.id,
        "position": position,
        "name": gateway.name,
        "scheme": gateway.link.scheme.value,
        "host": gateway.link.host,
        "port": gateway.link.port,
        "serial_port": gateway.link.serial_port,
        "panel": gateway.panel,
        "baud": line.baud if line else 0,
        "parity": line.parity.value if line else "",
        "stopbits": line.stopbits if line else 0,
        "databits": line.databits if line else 0,
        "timeout_ms": gateway.timeout_ms,
        "pause_ms": gateway.pause_ms,
        "tid_check": gateway.tid_check.value,
        "is_enabled": int(gateway.is_enabled),
        "description": gateway.description,
    }


def _device_row(position: int, device: Device) -> dict[str, object]:
    return {
        "id": device.id,
        "position": position,
        "name": device.name,
        "gateway": device.gateway,
        "model": device.model,
        "profile_id": device.profile_id,
        "unit_id": device.unit_id,
        "sub_address": device.sub_address,
        "description": device.description,
        "circuit": device.circuit,
        "pulse_position": device.position,
        "side": device.side,
        "phase": device.phase,
        "supply": device.supply.value,
        "role": device.role.value,
        "fed_by": device.fed_by,
        "is_enabled": int(device.is_enabled),
        "is_archived": int(device.is_archived),
    }
