"""`emdx-desktop history export`: recorded values as csv, day by day so that a year needs no more memory than a day."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.commands.atomic_file import STANDARD_OUTPUT, open_output
from emdx_desktop.commands.site_folder import SiteFolder, find_device, open_site_folder, site_zone
from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, CounterEpoch
from emdx_desktop.domain.installation import Device, Installation
from emdx_desktop.domain.ports import HistoryReader
from emdx_desktop.domain.quantities import QUANTITIES, READ_OFFSET_PREFIX, QuantityDef, QuantityKind
from emdx_desktop.domain.readings import Quality
from emdx_desktop.storage.history_reader import SqliteHistoryReader

HEADER = "timestamp,device,quantity,value,unit,quality"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula (OWASP, CSV injection)."""

_UNSAID = (Quality.NOT_DUE, Quality.NOT_RECORDED)
_INDEX_DIGITS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="export")
    exporting = actions.add_parser("export", help="write recorded values as csv")
    exporting.add_argument("--from", dest="start", metavar="WHEN", help="local, included; today 00:00 without it")
    exporting.add_argument("--to", dest="end", metavar="WHEN", help="local, not included; now without it")
    exporting.add_argument("--device", action="append", metavar="NAME", help="only this device; may be repeated")
    exporting.add_argument("--quantity", action="append", metavar="ID", help="only this quantity; may be repeated")
    exporting.add_argument(
        "-o", "--output", default=STANDARD_OUTPUT, metavar="FILE", help="file, - for standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Export."""
    folder = open_site_folder(args.data)
    installation = folder.load_installation()
    zone = site_zone(installation)
    start_ms, end_ms = parse_range(args.start, args.end, zone, SystemClock().now_ms())
    devices = (
        [find_device(installation, name) for name in args.device]
        if args.device
        else [device for device in installation.devices if not device.is_archived]
    )
    quantities = _checked_quantities(args.quantity)
    rows = export_history(folder, installation, devices, quantities, start_ms, end_ms, args.output)
    if args.json and args.output != STANDARD_OUTPUT:
        print(json.dumps({"schema": "emdx/history-export/1", "file": args.output, "rows": rows}))
    return 0


def _checked_quantities(wanted: Sequence[str] | None) -> frozenset[str] | None:
    unknown = [id_ for id_ in wanted or () if id_ not in QUANTITIES]
    if unknown:
        raise ConfigurationError(Problem("--quantity", f'"{id_}" is not a known quantity.') for id_ in unknown)
    return frozenset(wanted) if wanted else None


def export_history(
    folder: SiteFolder,
    installation: Installation,
    devices: Sequence[Device],
    quantities: frozenset[str] | None,
    start_ms: int,
    end_ms: int,
    target: str,
) -> int:
    """Write the csv; returns the number of rows.

    Raises:
        EnvironmentFault: History cannot be read or the file not written; a file that was there is untouched.
    """
    zone = site_zone(installation)
    reader = SqliteHistoryReader(folder.path)
    count = 0
    try:
        with open_output(target) as file:
            file.write(HEADER + "\r\n")
            for device in devices:
                for rows in _device_rows(reader, device, quantities, start_ms, end_ms, zone):
                    count += len(rows)
                    file.writelines(rows)
    finally:
        reader.close()
    return count


def _device_rows(
    reader: HistoryReader,
    device: Device,
    quantities: frozenset[str] | None,
    start_ms: int,
    end_ms: int,
    zone: ZoneInfo,
) -> Iterator[list[str]]:
    """Rows of one device, a list for each series and day."""
    spans: dict[str, tuple[int, int]] = {}
    for info in reader.series(device.id):
        id_ = info.column.quantity
        if id_.startswith(READ_OFFSET_PREFIX) or info.column.kind is QuantityKind.STATE:
            continue
        if quantities is None or id_ in quantities:
            # a quantity has more than one series where the decimals kept of it changed
            began_ms, ended_ms = spans.get(id_, (info.first_ms, info.last_ms))
            spans[id_] = min(began_ms, info.first_ms), max(ended_ms, info.last_ms)
    for id_, (began_ms, ended_ms) in sorted(spans.items()):
        definition = QUANTITIES[id_]
        first_ms, last_ms = max(start_ms, began_ms), min(end_ms, ended_ms + MINUTE_MS)
        for day_ms in range(first_ms // DAY_MS * DAY_MS, last_ms, DAY_MS):
            from_ms, to_ms = max(first_ms, day_ms), min(last_ms, day_ms + DAY_MS)
            if definition.kind is QuantityKind.COUNTER:
                yield _counter_rows(reader, device, definition, from_ms, to_ms, zone)
            else:
                yield _instant_rows(reader, device, definition, from_ms, to_ms, zone)
    for definition in QUANTITIES.values():
        if definition.kind is QuantityKind.STATE and (quantities is None or definition.id in quantities):
            yield _state_rows(reader, device, definition, start_ms, end_ms, zone)


def _instant_rows(
    reader: HistoryReader, device: Device, definition: QuantityDef, start_ms: int, end_ms: int, zone: ZoneInfo
) -> list[str]:
    minutes = reader.load_minutes(device.id, definition.id, start_ms, end_ms)
    ends = {int(quality): _row_end(definition, quality) for quality in Quality}
    start = _row_start(device, definition)
    digits = max(0, -definition.exponent)
    rows = []
    for i in np.flatnonzero(~np.isin(minutes.qualities, _UNSAID)):
        quality = int(minutes.qualities[i])
        value = minutes.values[i]
        text = f"{value:.{digits}f}" if quality == Quality.GOOD and np.isfinite(value) else ""
        stamp = _stamp(minutes.start_ms + int(i) * MINUTE_MS, zone, "seconds")
        rows.append(f"{stamp},{start}{text}{ends[quality]}")
    return rows


def _counter_rows(
    reader: HistoryReader, device: Device, definition: QuantityDef, start_ms: int, end_ms: int, zone: ZoneInfo
) -> list[str]:
    series = reader.load_counts(device.id, definition.id, start_ms, end_ms)
    start, end = _row_start(device, definition), _row_end(definition, Quality.GOOD)
    rows = []
    for ts_ms, count in zip(series.ts_ms.tolist(), series.counts.tolist(), strict=True):
        factor = _factor_at(series.epochs, ts_ms)
        if factor is not None:
            rows.append(f"{_stamp(ts_ms, zone, 'milliseconds')},{start}{exact_decimal(count * factor)}{end}")
    return rows


def _state_rows(
    reader: HistoryReader, device: Device, definition: QuantityDef, start_ms: int, end_ms: int, zone: ZoneInfo
) -> list[str]:
    start = _row_start(device, definition)
    rows = []
    for change in reader.load_states(device.id, definition.id, start_ms, end_ms):
        if not start_ms <= change.ts_ms < end_ms:
            continue  # the state before the range
        text = "" if change.code is None else str(change.code)
        end = _row_end(definition, Quality.GOOD if change.code is not None else Quality.NOT_RECORDED)
        rows.append(f"{_stamp(change.ts_ms, zone, 'milliseconds')},{start}{text}{end}")
    return rows


def _factor_at(epochs: Sequence[CounterEpoch], ts_ms: int) -> Fraction | None:
    factor = None
    for epoch in epochs:
        if epoch.start_ms > ts_ms and factor is not None:
            break
        factor = epoch.factor
    return factor


def exact_decimal(number: Fraction) -> str:
    """A fraction as decimal text: exact where it ends, otherwise to six places."""
    denominator = number.denominator
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    digits = max(twos, fives) if denominator == 1 else _INDEX_DIGITS
    scaled = round(number * 10**digits)
    return f"{Decimal(scaled).scaleb(-digits):f}"


def _row_start(device: Device, definition: QuantityDef) -> str:
    return f"{quote_cell(device.name)},{quote_cell(definition.id)},"


def _row_end(definition: QuantityDef, quality: Quality) -> str:
    return f",{quote_cell(definition.unit)},{quote_cell(quality.name.casefold())}\r\n"


def quote_cell(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula (A1)."""
    guarded = f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) or text.startswith(FORMULA_STARTS) else text
    return '"' + guarded.replace('"', '""') + '"'


def _stamp(ts_ms: int, zone: ZoneInfo, precision: str) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone).isoformat(timespec=precision)


def parse_range(start: str | None, end: str | None, zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    """A range of whole minutes, epoch milliseconds; the end is not included.

    Raises:
        ConfigurationError: A moment cannot be understood, or the end is not after the start.
    """
    problems: list[Problem] = []
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    start_ms = _moment(start, "--from", zone, problems) if start else int(midnight.timestamp() * 1000)
    end_ms = _moment(end, "--to", zone, problems) if end else (now_ms // MINUTE_MS + 1) * MINUTE_MS
    if not problems and end_ms <= start_ms:
        problems.append(Problem("--to", "must be later than --from."))
    if problems:
        raise ConfigurationError(problems)
    return start_ms, end_ms


def _moment(text: str, option: str, zone: ZoneInfo, problems: list[Problem]) -> int:
    """Local time of the site unless an offset is written; a time that a clock change skips is moved on."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        elapsed = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        problems.append(Problem(option, f'"{text}" is not a moment; write 2026-10-01 or 2026-10-01T08:30.'))
        return 0
    return elapsed // timedelta(milliseconds=1)
