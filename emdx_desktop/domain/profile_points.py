"""One row of a profile: a table of keys becomes a `PointDef`.

Units of the document (kW, MWh, mA, mV …) become exact base units per count here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from emdx_desktop.domain.checked_table import CheckedTable, nearest
from emdx_desktop.domain.errors import Problem
from emdx_desktop.domain.plausibility import default_limits
from emdx_desktop.domain.profiles import Evidence, PointDef, ValueType
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.units import BASE_UNITS, factor_to

MAX_LABEL_LENGTH = 200
MAX_NOTE_LENGTH = 1000
MAX_SCALE_DIGITS = 20

WORDS_OF: Mapping[ValueType, int] = {
    ValueType.U16: 1,
    ValueType.S16: 1,
    ValueType.U32: 2,
    ValueType.S32: 2,
    ValueType.U48: 3,
    ValueType.S48: 3,
    ValueType.U64: 4,
    ValueType.S64: 4,
    ValueType.FLOAT32: 2,
    ValueType.FLOAT64: 4,
    ValueType.SM16: 1,
    ValueType.SM32: 2,
    ValueType.BCD16: 1,
    ValueType.BCD32: 2,
    ValueType.BCD48: 3,
}
"""Words of each type; text (`ascii`) names its own number."""

FLOAT_TYPES = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})
PF_PREFIX = "power_factor"
LAGGING_POSITIVE = "lagging_positive"
LEADING_POSITIVE = "leading_positive"
UNSTATED = "unstated"
PF_SIGNS = (LAGGING_POSITIVE, LEADING_POSITIVE, UNSTATED)

ROW_KEYS = (
    "at",
    "type",
    "words",
    "scale",
    "scale_rule",
    "unit",
    "resolution",
    "label",
    "register",
    "function_code",
    "sign",
    "pf_sign",
    "mask",
    "shift",
    "states",
    "sentinels",
    "min",
    "max",
    "modulus",
    "atomic",
    "unit_offset",
    "writes",
    "chars_per_word",
    "evidence",
    "source",
    "note",
)

_FRACTION = re.compile(r"([+-]?\d{1,20}(?:\.\d{1,20})?)(?:/(\d{1,20}))?")


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """What a row need not say again."""

    function_code: int = 3
    source: str = ""
    evidence: Evidence | None = None
    sentinels: Mapping[ValueType, tuple[int, ...]] = field(default_factory=dict)
    register_numbers: str = "hex"
    unit_offset: int = 0


def read_fraction(table: CheckedTable, key: str) -> Fraction | None:
    """An exact number: 10, "0.01" or "1/3"; None when missing or wrong."""
    found = table.raw(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        table.refuse_type(key, found, 'a number such as 10, "0.01" or "1/3"')
        return None
    matched = _FRACTION.fullmatch(str(found).strip())
    if matched is None or (matched.group(2) is not None and int(matched.group(2)) == 0):
        table.report(key, f'must be a number such as 10, "0.01" or "1/3", at most {MAX_SCALE_DIGITS} digits.')
        return None
    return Fraction(matched.group(1)) / int(matched.group(2) or 1)


def read_source(table: CheckedTable, key: str, documents: Mapping[str, str]) -> str:
    """Document ids, comma separated; each must be listed under [documents]."""
    text = table.text(key, max_length=MAX_LABEL_LENGTH)
    names = [name.strip() for name in text.split(",")] if text else []
    for name in names:
        if name not in documents:
            table.report(key, f'"{name}" is not listed under [documents].{nearest(name, documents)}')
    return ", ".join(names)


def read_evidence(table: CheckedTable, key: str) -> Evidence | None:
    """How well a fact is proven; None when missing or wrong."""
    if table.raw(key) is None:
        return None
    return table.choice(key, Evidence.SIMULATION)


def read_sentinels(table: CheckedTable, key: str, words: int) -> tuple[int, ...] | None:
    """Raw values that mean "not available"; None when the key is missing."""
    found = table.raw(key)
    if found is None:
        return None
    highest = (1 << (16 * words)) - 1
    if not isinstance(found, list) or not all(
        isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry <= highest for entry in found
    ):
        table.report(key, f"must be a list of whole numbers from 0 to 0x{highest:X}, as read over all words.")
        return ()
    return tuple(found)


class PointReader:
    """Reads rows; mistakes go to the shared list."""

    def __init__(self, documents: Mapping[str, str], rules: Sequence[str], units: int) -> None:
        self._documents = documents
        self._rules = rules
        self._units = units

    def read(
        self,
        key: str,
        row: Mapping[str, object],
        where: str,
        defaults: RowDefaults,
        group: str,
        is_quantity: bool,
        problems: list[Problem],
    ) -> PointDef | None:
        """The point of one row, None when it is too broken to build."""
        table = CheckedTable(row, where, problems)
        count_before = len(problems)
        table.check_keys(ROW_KEYS)
        quantity = self._quantity(key, is_quantity, table)
        address = table.integer("at", 0, 0xFFFF)
        if address is None and table.raw("at") is None:
            table.report("at", "is missing; it is the wire address of the first word, e.g. 0xC558.")
        value_type = self._value_type(table)
        function_code = table.number_of("function_code", (1, 2, 3, 4), defaults.function_code)
        if value_type is None or address is None:
            return None
        words = self._words(table, value_type)
        if address + words > 0x10000:
            table.report("at", f"0x{address:X} and {words} words go past the last register 0xFFFF.")
        if function_code in (1, 2) and words != 1:
            table.report("type", f"a coil or input (function code {function_code}) holds one bit: u16 is allowed.")
        mask, shift, states = self._bits(table, value_type, words, quantity)
        kind = QUANTITIES[quantity].kind if quantity else None
        scale, resolution, scale_rule, unit_factor = self._scale(table, value_type, quantity)
        pf_sign, scale = self._pf_sign(table, key, scale)
        valid_min, valid_max = self._limits(table, quantity, kind, unit_factor)
        evidence = read_evidence(table, "evidence") or defaults.evidence
        if evidence is None and table.raw("evidence") is None:
            table.report("evidence", "is missing, here and in [defaults]; say how well this row is proven.")
        source = read_source(table, "source", self._documents) or defaults.source
        if not source and table.raw("source") is None:
            table.report("source", "is missing, here and in [defaults]; name the document this row is from.")
        sentinels = read_sentinels(table, "sentinels", words)
        if sentinels is None:
            sentinels = () if mask else defaults.sentinels.get(value_type, ())
        modulus = table.integer("modulus", 1, 1 << 64)
        if modulus is not None and kind is not QuantityKind.COUNTER:
            table.report("modulus", "belongs to counters only.")
        unit_offset = table.integer("unit_offset", 0, self._units - 1)
        writes = table.text("writes", max_length=MAX_NOTE_LENGTH)
        label = table.text("label", max_length=MAX_LABEL_LENGTH, is_required=True)
        note = table.text("note", max_length=MAX_NOTE_LENGTH)
        register = table.text("register") or _register_number(address, defaults.register_numbers, function_code)
        sign_point = table.text("sign")
        atomic = table.text("atomic")
        chars_per_word = table.number_of("chars_per_word", (1, 2), 2)
        if len(problems) > count_before or evidence is None:
            return None
        return PointDef(
            key=key,
            quantity=quantity,
            label=label,
            address=address,
            document_register=register,
            words=words,
            value_type=value_type,
            function_code=function_code,
            scale=scale,
            group=group,
            evidence=evidence,
            source=source,
            scale_rule=scale_rule,
            resolution=resolution,
            sign_point=sign_point,
            pf_sign=pf_sign in (LAGGING_POSITIVE, LEADING_POSITIVE),
            pf_follows_power=pf_sign == UNSTATED,
            bit_mask=mask,
            bit_shift=shift,
            states=states,
            sentinels=sentinels,
            valid_min=valid_min,
            valid_max=valid_max,
            modulus=modulus,
            atomic=atomic,
            unit_offset=defaults.unit_offset if unit_offset is None else unit_offset,
            is_writable=bool(writes),
            writes=writes,
            chars_per_word=chars_per_word,
            note=note,
        )

    def _quantity(self, key: str, is_quantity: bool, table: CheckedTable) -> str | None:
        if is_quantity:
            if key not in QUANTITIES:
                table.report(
                    "", f"is not a known quantity; other registers belong to [auxiliary].{nearest(key, QUANTITIES)}"
                )
                return None
            return key
        if key in QUANTITIES:
            table.report("", "is a quantity: it belongs to [quantities], or needs another name here.")
        return None

    def _value_type(self, table: CheckedTable) -> ValueType | None:
        if table.raw("type") is None:
            table.report("type", f"is missing; allowed are {', '.join(ValueType)}.")
            return None
        return table.choice("type", ValueType.U16)

    def _words(self, table: CheckedTable, value_type: ValueType) -> int:
        words = table.integer("words", 1, 125)
        fixed = WORDS_OF.get(value_type)
        if fixed is None:
            if words is None and table.raw("words") is None:
                table.report("words", "is missing; a text must say how many registers it takes.")
            return words or 1
        if words is not None and words != fixed:
            table.report("words", f"is {words}, but {value_type} takes {fixed}.")
        return fixed

    def _bits(
        self, table: CheckedTable, value_type: ValueType, words: int, quantity: str | None
    ) -> tuple[int, int, Mapping[int, int] | None]:
        mask = table.integer("mask", 1, (1 << (16 * words)) - 1) or 0
        shift = table.integer("shift", 0, 16 * words - 1) or 0
        if (mask or shift) and value_type not in (ValueType.U16, ValueType.U32, ValueType.U48, ValueType.U64):
            table.report("mask", f"needs an unsigned type, not {value_type}.")
        found = table.raw("states")
        if found is None:
            return mask, shift, None
        if quantity is not None and QUANTITIES[quantity].kind is not QuantityKind.STATE:
            table.report("states", "belongs to states only.")
        states: dict[int, int] = {}
        entries = found.items() if isinstance(found, dict) else ()
        for raw, code in entries:
            if not re.fullmatch(r"\d{1,10}", raw) or isinstance(code, bool) or not isinstance(code, int):
                states.clear()
                break
            states[int(raw)] = code
        if not states:
            table.report("states", "must be a table from raw number to code, e.g. { 0 = 0, 1 = 1 }.")
        return mask, shift, states

    def _scale(
        self, table: CheckedTable, value_type: ValueType, quantity: str | None
    ) -> tuple[Fraction | None, Fraction | None, str, Fraction]:
        """Base units per count, resolution of a float counter, rule, and base units per document unit."""
        definition = QUANTITIES[quantity] if quantity else None
        if value_type is ValueType.ASCII:
            for key in ("scale", "unit", "scale_rule", "sign"):
                if table.raw(key) is not None:
                    table.report(key, "has no meaning for a text.")
            if definition is not None:
                table.report("type", "a text cannot be a quantity.")
            return Fraction(1), None, "", Fraction(1)
        unit = table.text("unit")
        factor = factor_to(unit, definition.unit) if definition else BASE_UNITS.get(unit, (None, None))[1]
        if factor is None:
            wanted = f"this quantity is kept in {definition.unit or 'plain codes'}" if definition else "it is not known"
            table.report("unit", f'"{unit}" does not fit: {wanted}.')
            factor = Fraction(1)
        rule = table.text("scale_rule")
        if rule and rule not in self._rules:
            table.report("scale_rule", f'"{rule}" is not listed under [scales].{nearest(rule, self._rules)}')
        if rule and (factor != 1 or table.raw("scale") is not None):
            table.report("scale_rule", "gives base units per count itself: no `scale` beside it, and the base unit.")
        resolution = read_fraction(table, "resolution")
        is_float_counter = (
            definition is not None and definition.kind is QuantityKind.COUNTER and value_type in FLOAT_TYPES
        )
        if is_float_counter and resolution is None and table.raw("resolution") is None:
            table.report("resolution", "is missing; a float counter is kept in whole steps of it.")
        if resolution is not None and (not is_float_counter or resolution <= 0):
            table.report("resolution", "belongs to float counters and is above zero.")
        kind = definition.kind if definition else None
        if kind is QuantityKind.STATE and (table.raw("scale") is not None or rule):
            table.report("scale", "has no meaning for a state.")
        if kind is QuantityKind.STATE and value_type in FLOAT_TYPES:
            table.report("type", "of a state must be a whole number.")
        if kind in (QuantityKind.STATE, QuantityKind.COUNTER) and table.raw("sign") is not None:
            table.report("sign", "belongs to measured values only.")
        if rule or table.raw("scale") == "unknown":
            if is_float_counter:
                table.report("scale", "of a float counter must be known.")
            return None, None, rule, factor
        scale = read_fraction(table, "scale")
        if scale is not None and scale <= 0:
            table.report("scale", "must be above zero.")
        return (
            (Fraction(1) if scale is None else scale) * factor,
            resolution * factor if resolution is not None else None,
            "",
            factor,
        )

    def _pf_sign(self, table: CheckedTable, key: str, scale: Fraction | None) -> tuple[str, Fraction | None]:
        """What the sign of a power factor means, and its scale so that + is lagging (inductive)."""
        found = table.text("pf_sign")
        if found and not key.startswith(PF_PREFIX):
            table.report("pf_sign", "belongs to power factors only.")
        if found and found not in PF_SIGNS:
            table.report("pf_sign", f'is "{found}"; allowed are {", ".join(PF_SIGNS)}.')
        return found, -scale if found == LEADING_POSITIVE and scale is not None else scale

    def _limits(
        self, table: CheckedTable, quantity: str | None, kind: QuantityKind | None, unit_factor: Fraction
    ) -> tuple[float | None, float | None]:
        lowest, highest = default_limits(quantity) if quantity and kind is QuantityKind.INSTANT else (None, None)
        if kind is QuantityKind.COUNTER:
            lowest = 0.0 if quantity != "energy_balance" else None
        found_min, found_max = read_fraction(table, "min"), read_fraction(table, "max")
        if found_min is not None:
            lowest = float(found_min * unit_factor)
        if found_max is not None:
            highest = float(found_max * unit_factor)
        if lowest is not None and highest is not None and not lowest < highest:
            table.report("min", f"{lowest:g} is not below max {highest:g} (base units).")
        return lowest, highest


def _register_number(address: int, style: str, function_code: int) -> str:
    """The document's register number from the wire address."""
    if style == "modicon":
        return f"{_MODICON_BASES[function_code] + address:05d}"
    return {"hex": f"{address:04X}h", "address": str(address), "address+1": str(address + 1)}[style]


_MODICON_BASES = {1: 1, 2: 10_001, 3: 40_001, 4: 30_001}
REGISTER_NUMBER_STYLES = ("hex", "address", "address+1", "modicon")
