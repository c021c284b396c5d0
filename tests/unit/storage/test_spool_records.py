from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

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
from emdx_desktop.storage.batch_record import batch_from_bytes, batch_to_bytes
from emdx_desktop.storage.spool import Spool

D1 = DeviceId(1)
COLUMNS = (
    SeriesColumn("voltage_l1_n", QuantityKind.INSTANT, -2),
    SeriesColumn("active_energy_import", QuantityKind.COUNTER, 0, "energies"),
)
BATCH = MinuteBatch(
    1_790_000_040_000,
    (
        DeviceMinute(
            MinuteLayout(D1, COLUMNS), (23010, None), bytes([0, 1]), (4, 0), (23000, None), (23020, None), (92041, 0)
        ),
    ),
    (StateChange(D1, "input_1", 5, None),),
    (Event(7, EventKind.CLOCK_STEP, "stepped", None, "", {"before_ms": 1}),),
    (CounterEpoch(D1, "active_energy_import", 3, 4, Fraction(1, 3), 10**20, "reset", 9),),
)


def test_a_batch_survives_as_bytes() -> None:
    assert batch_from_bytes(batch_to_bytes(BATCH)) == BATCH


@pytest.mark.parametrize("record", [b"", b"garbage", batch_to_bytes(BATCH)[:-5]])
def test_bytes_that_are_no_batch_are_told(record: bytes) -> None:
    with pytest.raises(StorageFault, match="cannot be read"):
        batch_from_bytes(record)


def test_records_come_back_in_order_and_are_dropped_one_by_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(4):
        spool.append(b"record %d" % number)
    assert len(Spool(tmp_path)) == 4
    assert [record.payload for record in spool.records()] == [b"record %d" % n for n in range(4)]
    spool.drop_first(3)
    assert [record.payload for record in Spool(tmp_path).records()] == [b"record 3"]
    spool.drop_first(1)
    assert len(spool) == 0
    assert not spool.path.exists()


def test_a_record_cut_short_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"first")
    spool.append(b"second")
    content = spool.path.read_bytes()
    spool.path.write_bytes(content[:-3])
    again = Spool(tmp_path)
    again.append(b"third")
    assert [record.payload for record in again.records()] == [b"first", None, b"third"]


def test_a_damaged_record_is_told_from_whole_ones(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for payload in (b"first", b"second", b"third"):
        spool.append(payload)
    content = bytearray(spool.path.read_bytes())
    content[content.index(b"second")] ^= 1
    spool.path.write_bytes(content)
    records = list(Spool(tmp_path).records())
    assert [record.payload for record in records] == [b"first", None, b"third"]
    assert b"".join(record.raw for record in records) == bytes(content), "not a byte is lost"


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.path.mkdir()
    with pytest.raises(StorageFault, match="cannot be written"):
        spool.append(b"x")
