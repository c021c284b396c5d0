"""Which number stands for which series of which device; only the writing connection adds to it."""

from __future__ import annotations

from typing import NamedTuple

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import SeriesColumn
from emdx_desktop.domain.quantities import READ_OFFSET_PREFIX, QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.chunks import SERIES_MASK


class StoredSeries(NamedTuple):
    """A row of the series table; minutes count from 1970, `last_minute` as of the last packed day."""

    id: int
    device_id: DeviceId
    quantity: str
    kind: QuantityKind
    exponent: int
    group: str
    first_minute: int
    last_minute: int

    @property
    def column(self) -> SeriesColumn:
        """As the domain names it."""
        return SeriesColumn(self.quantity, self.kind, self.exponent, self.group)

    @property
    def has_rollups(self) -> bool:
        """Instants are condensed to hours; counts are not, their index says it all."""
        return self.kind is QuantityKind.INSTANT and not self.quantity.startswith(READ_OFFSET_PREFIX)


class SeriesBook:
    """All series of a live file, as one connection sees them."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._by_key: dict[tuple[int, str, int], StoredSeries] = {}
        self._by_quantity: dict[tuple[int, str], list[StoredSeries]] = {}
        self._by_id: dict[int, StoredSeries] = {}
        self._ids_of_device: dict[int, list[int]] = {}
        self._instant_ids_of_device: dict[int, list[int]] = {}
        self._offset_ids_of_device: dict[int, list[int]] = {}
        self.reload()

    def reload(self) -> None:
        """Read the table again: after a rollback, or when another connection committed."""
        self._by_key.clear()
        self._by_quantity.clear()
        self._by_id.clear()
        self._ids_of_device.clear()
        self._instant_ids_of_device.clear()
        self._offset_ids_of_device.clear()
        rows = self._connection.execute(
            "SELECT id, device, quantity, kind, exponent, read_group, first_minute, last_minute FROM series ORDER BY id"
        )
        for id_, device, quantity, kind, exponent, group, first, last in rows:
            self._keep(StoredSeries(id_, DeviceId(device), quantity, QuantityKind(kind), exponent, group, first, last))

    def _keep(self, series: StoredSeries) -> None:
        self._by_key[series.device_id, series.quantity, series.exponent] = series
        self._by_quantity.setdefault((series.device_id, series.quantity), []).append(series)
        self._by_id[series.id] = series
        self._ids_of_device.setdefault(series.device_id, []).append(series.id)
        if series.has_rollups:
            self._instant_ids_of_device.setdefault(series.device_id, []).append(series.id)
        elif series.quantity.startswith(READ_OFFSET_PREFIX):
            self._offset_ids_of_device.setdefault(series.device_id, []).append(series.id)

    def ensure(self, device_id: DeviceId, column: SeriesColumn, minute: int) -> StoredSeries:
        """The series of a column, added when it is new. Inside a write transaction.

        Raises:
            StorageFault: There is no number left.
        """
        series = self._by_key.get((device_id, column.quantity, column.exponent))
        if series is not None:
            if column.group and column.group != series.group:
                self._connection.execute("UPDATE series SET read_group=? WHERE id=?", (column.group, series.id))
                self.reload()
                return self._by_id[series.id]
            return series
        self._connection.execute(
            "INSERT INTO series(device, quantity, kind, exponent, read_group, first_minute, last_minute) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (device_id, column.quantity, column.kind.value, column.exponent, column.group, minute, minute),
        )
        id_ = self._connection.last_insert_rowid()
        if id_ > SERIES_MASK:
            raise StorageFault("The data folder holds 16.7 million series, which is all it can: start another one.")
        series = StoredSeries(
            id_, device_id, column.quantity, column.kind, column.exponent, column.group, minute, minute
        )
        self._keep(series)
        return series

    def widen(self, series_id: int, first_minute: int, last_minute: int) -> None:
        """Note that a series reaches further. Inside a write transaction."""
        series = self._by_id[series_id]
        first, last = min(series.first_minute, first_minute), max(series.last_minute, last_minute)
        if (first, last) != (series.first_minute, series.last_minute):
            self._connection.execute(
                "UPDATE series SET first_minute=?, last_minute=? WHERE id=?", (first, last, series_id)
            )
            wider = series._replace(first_minute=first, last_minute=last)
            self._by_id[series_id] = wider
            self._by_key[series.device_id, series.quantity, series.exponent] = wider
            others = self._by_quantity[series.device_id, series.quantity]
            others[others.index(series)] = wider

    def by_id(self, series_id: int) -> StoredSeries:
        """The series with this number."""
        return self._by_id[series_id]

    def of(self, device_id: DeviceId, quantity: str) -> list[StoredSeries]:
        """The series of a quantity, one for each decimal exponent it ever had."""
        return self._by_quantity.get((device_id, quantity), [])

    def offsets_of(self, device_id: DeviceId) -> list[StoredSeries]:
        """The read offsets of a device."""
        return [self._by_id[id_] for id_ in self._offset_ids_of_device.get(device_id, ())]

    def instants_of(self, device_id: DeviceId) -> list[StoredSeries]:
        """The series of a device that are condensed to hours."""
        return [self._by_id[id_] for id_ in self._instant_ids_of_device.get(device_id, ())]

    def of_device(self, device_id: DeviceId) -> list[StoredSeries]:
        """All series of a device."""
        return [self._by_id[id_] for id_ in self._ids_of_device.get(device_id, ())]

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[StoredSeries]:
        """All series."""
        return list(self._by_id.values())
