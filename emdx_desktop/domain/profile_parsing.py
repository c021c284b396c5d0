"""A device profile from a file: every mistake at once, each with its key and what is allowed.

The format is described in docs/device-profiles.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from emdx_desktop.domain.checked_table import CheckedTable
from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.installation import BAUD_RATES, Parity
from emdx_desktop.domain.profile_checks import check_identity, check_points
from emdx_desktop.domain.profile_points import (
    REGISTER_NUMBER_STYLES,
    WORDS_OF,
    PointReader,
    RowDefaults,
    read_evidence,
    read_fraction,
    read_sentinels,
    read_source,
)
from emdx_desktop.domain.profiles import (
    AddressRange,
    DeviceProfile,
    Evidence,
    IdentityDef,
    PointDef,
    Priority,
    ReadGroupDef,
    ScaleRule,
    ScaleStep,
    SerialDefaults,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.quantities import QUANTITIES

MAX_DEPTH = 8
MAX_INTEGER_BITS = 64

_TOP_KEYS = (
    "maker",
    "catalogue_numbers",
    "family",
    "model",
    "evidence",
    "source",
    "documents",
    "device",
    "defaults",
    "groups",
    "scales",
    "quantities",
    "auxiliary",
    "unread",
)
_DEVICE_KEYS = (
    "word_order",
    "byte_swapped",
    "serial",
    "unit_id_default",
    "max_registers",
    "even_counts_only",
    "readable",
    "pause_ms",
    "response_ms",
    "units",
    "identity",
)
_DEFAULT_KEYS = ("function_code", "source", "evidence", "sentinels", "register_numbers", "unit_offset")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def parse_profile(data: Mapping[str, object], profile_id: str) -> DeviceProfile:
    """Check a parsed profile file and build the profile.

    Args:
        data: Tables as read from TOML.
        profile_id: File name without its ending.
    Raises:
        ConfigurationError: With every mistake that was found.
    """
    problems = list(_check_shape(data))
    if not _NAME.fullmatch(profile_id):
        problems.append(Problem("", f'"{profile_id}" is no profile id: small letters, digits, - and _ are allowed.'))
    if problems:
        raise ConfigurationError(problems)
    profile = _ProfileReader(data, problems).read(profile_id)
    if problems or profile is None:
        raise ConfigurationError(problems)
    return profile


def _check_shape(data: Mapping[str, object]) -> list[Problem]:
    """Nesting and sizes, without recursion, before anything else looks at the values."""
    problems: list[Problem] = []
    pending: list[tuple[object, str, int]] = [(data, "", 1)]
    while pending:
        value, where, depth = pending.pop()
        if depth > MAX_DEPTH:
            problems.append(Problem(where[:200], f"is nested deeper than {MAX_DEPTH} tables."))
            return problems
        if isinstance(value, Mapping):
            pending += [(inner, f"{where}.{key}" if where else str(key), depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [(inner, f"{where}[{index}]", depth + 1) for index, inner in enumerate(value)]
        elif isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            problems.append(Problem(where[:200], f"is a number of {value.bit_length()} bits; 64 are allowed."))
    return problems


class _ProfileReader:
    """One run over the tables of a profile."""

    def __init__(self, data: Mapping[str, object], problems: list[Problem]) -> None:
        self._problems = problems
        self._top = CheckedTable(data, "", problems)
        self._documents: Mapping[str, str] = {}
        self._units = 1
        self._places: dict[str, str] = {}

    def read(self, profile_id: str) -> DeviceProfile | None:
        top = self._top
        top.check_keys(_TOP_KEYS)
        maker = top.text("maker", is_required=True)
        family = top.text("family", is_required=True)
        model = top.text("model", is_required=True)
        source = top.text("source", max_length=200, is_required=True)
        numbers = top.names("catalogue_numbers")
        evidence = read_evidence(top, "evidence")
        if evidence is None and top.raw("evidence") is None:
            top.report("evidence", f"is missing; allowed are {', '.join(Evidence)}.")
        self._documents = self._read_documents()
        device = self._subtable(top, "device")
        device.check_keys(_DEVICE_KEYS)
        self._units = device.integer("units", 1, 16) or 1
        max_registers = device.integer("max_registers", 1, 125)
        if max_registers is None and device.raw("max_registers") is None:
            device.report("max_registers", "is missing; 1 to 125 registers of one read are allowed.")
        word_order = device.choice("word_order", WordOrder.HIGH_FIRST)
        needs_even_count = device.flag("even_counts_only", False)
        readable = self._read_readable(device)
        serial = self._read_serial(device)
        is_byte_swapped = device.flag("byte_swapped", False)
        pause_ms = device.integer("pause_ms", 0, 60_000) or 0
        response_ms = device.integer("response_ms", 0, 60_000) or 0
        unit_id_default = device.integer("unit_id_default", 1, 255)

        defaults = self._read_defaults(
            self._subtable(top, "defaults", is_required=False), RowDefaults(), is_group=False
        )
        groups, group_defaults = self._read_groups(defaults)
        rules = self._read_rules()
        points = self._read_points(defaults, groups, group_defaults, tuple(rules))
        identity = self._read_identity(device, points)
        self._problems += check_points(points, self._places, rules, readable, max_registers or 125, needs_even_count)
        self._problems += check_identity(identity, points, self._places)
        if not any(key in QUANTITIES for key in self._places):
            top.report("quantities", "is empty; a device needs one quantity at least.")
        if self._problems or evidence is None or max_registers is None:
            return None
        return DeviceProfile(
            id=profile_id,
            maker=maker,
            catalogue_numbers=numbers,
            family=family,
            model=model,
            source=source,
            sources=self._documents,
            evidence=evidence,
            word_order=word_order,
            is_byte_swapped=is_byte_swapped,
            serial=serial,
            unit_id_default=unit_id_default,
            max_registers=max_registers,
            needs_even_count=needs_even_count,
            readable=readable,
            pause_ms=pause_ms,
            response_ms=response_ms,
            units=self._units,
            groups=tuple(groups.values()),
            points=tuple(points),
            scale_rules=rules,
            identity=identity,
        )

    def _subtable(self, parent: CheckedTable, key: str, *, is_required: bool = True) -> CheckedTable:
        """A table inside another; an empty one when missing or wrong."""
        found = parent.raw(key)
        where = f"{parent.where}.{key}" if parent.where else key
        if found is None and is_required:
            parent.report(key, "is missing; a table is needed.")
        elif found is not None and not isinstance(found, dict):
            parent.refuse_type(key, found, "a table")
        return CheckedTable(found if isinstance(found, dict) else {}, where, self._problems)

    def _rows(self, parent: CheckedTable) -> list[tuple[str, CheckedTable]]:
        """All entries of a table, each of which must be a table."""
        return [(key, self._subtable(parent, key)) for key, _ in parent.items()]

    def _read_documents(self) -> Mapping[str, str]:
        table = self._subtable(self._top, "documents")
        return {key: table.text(key, max_length=500, is_required=True) for key, _ in table.items()}

    def _read_serial(self, device: CheckedTable) -> SerialDefaults | None:
        if device.raw("serial") is None:
            return None
        table = self._subtable(device, "serial")
        table.check_keys(("baud", "parity", "stopbits"))
        return SerialDefaults(
            baud=table.number_of("baud", BAUD_RATES, 9600),
            parity=table.choice("parity", Parity.NONE),
            stopbits=table.number_of("stopbits", (1, 2), 1),
        )

    def _tables_in_list(self, parent: CheckedTable, key: str) -> list[CheckedTable]:
        found = parent.raw(key)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            parent.report(key, "must be a list of tables, e.g. [{ … }].")
            return []
        return [CheckedTable(entry, f"{parent.where}.{key}[{i}]", self._problems) for i, entry in enumerate(found)]

    def _read_readable(self, device: CheckedTable) -> tuple[AddressRange, ...]:
        ranges = []
        for table in self._tables_in_list(device, "readable"):
            table.check_keys(("function_code", "first", "last", "source"))
            first, last = table.integer("first", 0, 0xFFFF), table.integer("last", 0, 0xFFFF)
            function_code = table.number_of("function_code", (1, 2, 3, 4), 3)
            if not read_source(table, "source", self._documents) and table.raw("source") is None:
                table.report("source", "is missing; name the document that allows reading across gaps.")
            if first is None or last is None or first > last:
                table.report("first", "and last must be addresses from 0 to 0xFFFF, first not above last.")
            else:
                ranges.append(AddressRange(function_code, first, last))
        return tuple(ranges)

    def _read_identity(self, device: CheckedTable, points: list[PointDef]) -> tuple[IdentityDef, ...]:
        chars = {point.key: point.chars_per_word for point in points if point.value_type is ValueType.ASCII}
        broken = self._places.keys() - {point.key for point in points}
        entries = []
        for table in self._tables_in_list(device, "identity"):
            table.check_keys(("point", "expected"))
            key = table.text("point", is_required=True)
            found = table.raw("expected")
            words: tuple[int, ...] = ()
            if isinstance(found, str) and found.isascii() and key in chars:
                words = _words_of_text(found, chars[key])
            elif isinstance(found, list) and all(type(word) is int and 0 <= word <= 0xFFFF for word in found):
                words = tuple(found)
            elif found is not None and key not in broken:
                table.report("expected", "must be a list of words from 0 to 0xFFFF, or for a text point its text.")
            entries.append(IdentityDef(key, words))
        return tuple(entries)

    def _read_defaults(self, table: CheckedTable, base: RowDefaults, *, is_group: bool) -> RowDefaults:
        table.check_keys((*_DEFAULT_KEYS, "priority") if is_group else _DEFAULT_KEYS)
        sentinels = dict(base.sentinels)
        listed = self._subtable(table, "sentinels", is_required=False)
        for name in [name for name, _ in listed.items()]:
            if name not in WORDS_OF:
                listed.report(name, f"is no number type; allowed are {', '.join(WORDS_OF)}.")
                continue
            value_type = ValueType(name)
            sentinels[value_type] = read_sentinels(listed, name, WORDS_OF[value_type]) or ()
        style = table.text("register_numbers", base.register_numbers)
        if style not in REGISTER_NUMBER_STYLES:
            table.report("register_numbers", f'is "{style}"; allowed are {", ".join(REGISTER_NUMBER_STYLES)}.')
            style = base.register_numbers
        unit_offset = table.integer("unit_offset", 0, self._units - 1)
        return RowDefaults(
            function_code=table.number_of("function_code", (1, 2, 3, 4), base.function_code),
            source=read_source(table, "source", self._documents) or base.source,
            evidence=read_evidence(table, "evidence") or base.evidence,
            sentinels=sentinels,
            register_numbers=style,
            unit_offset=base.unit_offset if unit_offset is None else unit_offset,
        )

    def _read_groups(self, defaults: RowDefaults) -> tuple[dict[str, ReadGroupDef], dict[str, RowDefaults]]:
        groups: dict[str, ReadGroupDef] = {}
        group_defaults: dict[str, RowDefaults] = {}
        for name, table in self._rows(self._subtable(self._top, "groups")):
            if not _NAME.fullmatch(name):
                table.report("", "is no group name: small letters, digits, - and _ are allowed.")
            if table.raw("priority") is None:
                table.report("priority", f"is missing; allowed are {', '.join(Priority)}.")
            groups[name] = ReadGroupDef(name, table.choice("priority", Priority.MINUTE))
            group_defaults[name] = self._read_defaults(table, defaults, is_group=True)
        return groups, group_defaults

    def _read_rules(self) -> dict[str, ScaleRule]:
        rules: dict[str, ScaleRule] = {}
        for name, table in self._rows(self._subtable(self._top, "scales", is_required=False)):
            table.check_keys(("of", "steps", "source"))
            points = table.names("of")
            if not points:
                table.report("of", "must list the points whose values are multiplied to choose the step.")
            source = read_source(table, "source", self._documents)
            if not source and table.raw("source") is None:
                table.report("source", "is missing; name the document this rule is from.")
            rules[name] = ScaleRule(name, points, self._read_steps(table), source)
        return rules

    def _read_steps(self, rule: CheckedTable) -> tuple[ScaleStep, ...]:
        steps: list[ScaleStep] = []
        tables = self._tables_in_list(rule, "steps")
        for index, table in enumerate(tables):
            table.check_keys(("below", "scale"))
            below, scale = read_fraction(table, "below"), read_fraction(table, "scale")
            if scale is None or scale <= 0:
                table.report("scale", "is needed: base units per count, above zero.")
                scale = Fraction(1)
            is_last = index == len(tables) - 1
            if is_last == (table.raw("below") is not None):
                table.report("below", "is needed in every step but the last, which takes all the rest.")
            if below is not None and steps and steps[-1].below is not None and below <= steps[-1].below:
                table.report("below", "must rise from step to step.")
            steps.append(ScaleStep(below, scale))
        if not steps:
            rule.report("steps", 'must list steps, e.g. [{ below = 5000, scale = "0.01" }, { scale = 1 }].')
        return tuple(steps)

    def _read_points(
        self,
        defaults: RowDefaults,
        groups: Mapping[str, ReadGroupDef],
        group_defaults: Mapping[str, RowDefaults],
        rules: tuple[str, ...],
    ) -> list[PointDef]:
        reader = PointReader(self._documents, rules, self._units)
        points: list[PointDef] = []
        for kind in ("quantities", "auxiliary"):
            table = self._subtable(self._top, kind, is_required=False)
            for group, rows in self._rows(table):
                if group not in groups:
                    table.report(group, f"is not listed under [groups]; listed are {', '.join(groups) or 'none'}.")
                    continue
                points += self._read_rows(rows, reader, group_defaults[group], group, kind == "quantities")
        unread = self._subtable(self._top, "unread", is_required=False)
        points += self._read_rows(unread, reader, defaults, "", is_quantity=False)
        return points

    def _read_rows(
        self, rows: CheckedTable, reader: PointReader, defaults: RowDefaults, group: str, is_quantity: bool
    ) -> list[PointDef]:
        points = []
        for key, value in rows.items():
            where = f"{rows.where}.{key}"
            if not isinstance(value, dict):
                rows.refuse_type(key, value, 'a table, e.g. { at = 0xC558, type = "u32", … }')
            elif key in self._places:
                rows.report(key, f"is already at {self._places[key]}; a key may stand once in a profile.")
            elif not _NAME.fullmatch(key):
                rows.report(key, "is no name: small letters, digits, - and _ are allowed.")
            else:
                self._places[key] = where
                point = reader.read(key, value, where, defaults, group, is_quantity, self._problems)
                if point is not None:
                    points.append(point)
        return points


def _words_of_text(text: str, chars_per_word: int) -> tuple[int, ...]:
    codes = text.encode("ascii")
    if chars_per_word == 1:
        return tuple(codes)
    codes += b"\0" * (len(codes) % 2)
    return tuple(codes[i] << 8 | codes[i + 1] for i in range(0, len(codes), 2))
