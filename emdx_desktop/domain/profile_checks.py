"""What must hold between the rows of a profile: references, groups, addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from emdx_desktop.domain.checked_table import nearest
from emdx_desktop.domain.errors import Problem
from emdx_desktop.domain.profile_points import FLOAT_TYPES, PF_PREFIX
from emdx_desktop.domain.profiles import AddressRange, IdentityDef, PointDef, ScaleRule, ValueType

_Report = Callable[[PointDef, str, str], None]


def check_points(
    points: Sequence[PointDef],
    places: Mapping[str, str],
    rules: Mapping[str, ScaleRule],
    readable: Sequence[AddressRange],
    max_registers: int,
    needs_even_count: bool,
) -> list[Problem]:
    """Mistakes between rows.

    Args:
        points: All points that could be built.
        places: Point key -> place in the file.
        rules: Scale rules by name.
        readable: Ranges that may be read across gaps.
        max_registers: Most registers of one read.
        needs_even_count: Only even counts may be asked for.
    """
    by_key: dict[str, PointDef | None] = dict.fromkeys(places)  # None: its own mistake is reported already
    by_key.update((point.key, point) for point in points)
    problems: list[Problem] = []

    def report(point: PointDef, key: str, message: str) -> None:
        problems.append(Problem(f"{places[point.key]}.{key}", message))

    for point in points:
        if point.group and point.function_code in (3, 4):
            if point.words > max_registers:
                report(point, "type", f"takes {point.words} registers; one read may ask for {max_registers} at most.")
            if needs_even_count and point.words % 2:
                report(point, "type", f"takes {point.words} registers, but only even counts may be read.")
        if point.sign_point:
            _check_partner(point, by_key, "sign", point.sign_point, report)
            if point.value_type in FLOAT_TYPES:
                report(point, "sign", "belongs to whole numbers only.")
        if point.pf_sign or point.pf_follows_power:
            power = point.key.replace(PF_PREFIX, "active_power", 1)
            _check_partner(point, by_key, "pf_sign", power, report)
            kind = point.key.replace(PF_PREFIX, "reactive_kind", 1)
            if point.pf_sign and kind in by_key:
                report(point, "pf_sign", f'already gives "{kind}", which has a row of its own.')
    for rule in rules.values():
        for key in rule.points:
            selector = by_key.get(key)
            if key not in by_key:
                problems.append(Problem(f"scales.{rule.name}.of", f'"{key}" is not a point.{nearest(key, by_key)}'))
            elif selector is not None and (
                selector.scale is None or selector.value_type is ValueType.ASCII or not selector.group
            ):
                problems.append(
                    Problem(f"scales.{rule.name}.of", f'"{key}" must be a number with a known scale in a read group.')
                )
    problems += _check_atomic_groups(points, places, readable, max_registers)
    problems += _check_overlaps(points, places)
    return problems


def check_identity(
    identity: Sequence[IdentityDef], points: Sequence[PointDef], places: Mapping[str, str]
) -> list[Problem]:
    """Identification points exist, are polled, and expect as many words as they have."""
    by_key = {point.key: point for point in points}
    problems = []
    for index, entry in enumerate(identity):
        point = by_key.get(entry.point)
        where = f"device.identity[{index}]"
        if entry.point not in places:
            problems.append(Problem(f"{where}.point", f'"{entry.point}" is not a point.{nearest(entry.point, places)}'))
        elif point is not None and not point.group:
            problems.append(Problem(f"{where}.point", f'"{entry.point}" is never polled; put it into a read group.'))
        elif point is not None and entry.expected and len(entry.expected) != point.words:
            message = f'holds {len(entry.expected)} words, but "{entry.point}" has {point.words}.'
            problems.append(Problem(f"{where}.expected", message))
    return problems


def _check_partner(
    point: PointDef, by_key: Mapping[str, PointDef | None], key: str, name: str, report: _Report
) -> None:
    """A value and the point that gives its sign are read in one request."""
    partner = by_key.get(name)
    if name not in by_key:
        report(point, key, f'"{name}" is not a point of this profile.')
    elif partner is None:
        return
    elif partner.value_type is ValueType.ASCII:
        report(point, key, f'"{name}" is a text and cannot give a sign.')
    elif partner.group != point.group:
        report(point, key, f'"{name}" must be in the same read group.')
    elif point.group and (not point.atomic or partner.atomic != point.atomic):
        report(point, key, f'"{name}" must be in the same atomic group: both are read in one request.')


def _check_atomic_groups(
    points: Sequence[PointDef], places: Mapping[str, str], readable: Sequence[AddressRange], max_registers: int
) -> list[Problem]:
    problems: list[Problem] = []
    groups: dict[str, list[PointDef]] = {}
    for point in points:
        if point.atomic:
            groups.setdefault(point.atomic, []).append(point)
    for name, members in groups.items():
        head = members[0]
        where = f"{places[head.key]}.atomic"
        areas = {(member.group, member.function_code, member.unit_offset) for member in members}
        if len(areas) > 1 or not head.group:
            problems.append(
                Problem(where, f'group "{name}" must lie in one read group, function code and unit to be one request.')
            )
            continue
        first = min(member.address for member in members)
        last = max(member.address + member.words for member in members) - 1
        if last - first + 1 > max_registers:
            message = (
                f'group "{name}" spans {last - first + 1} registers; one read may ask for {max_registers} at most.'
            )
            problems.append(Problem(where, message))
            continue
        known: set[int] = set()
        for point in points:
            if (point.function_code, point.unit_offset) == (head.function_code, head.unit_offset):
                known.update(range(point.address, point.address + point.words))
        for area in readable:
            if area.function_code == head.function_code:
                known.update(range(area.first, area.last + 1))
        gap = next((address for address in range(first, last + 1) if address not in known), None)
        if gap is not None:
            message = f'group "{name}" crosses register 0x{gap:X}, which no document says can be read.'
            problems.append(Problem(where, message))
    return problems


def _check_overlaps(points: Sequence[PointDef], places: Mapping[str, str]) -> list[Problem]:
    """Two values may share registers only when they are parts of the same ones (bits of a status word)."""
    problems: list[Problem] = []
    ordered = sorted(points, key=lambda point: (point.unit_offset, point.function_code, point.address))
    for before, point in pairwise(ordered):
        if (before.unit_offset, before.function_code) != (point.unit_offset, point.function_code):
            continue
        is_same = (before.address, before.words) == (point.address, point.words)
        if is_same and before.bit_mask and point.bit_mask:
            continue
        if before.address + before.words > point.address:
            problems.append(
                Problem(
                    f"{places[point.key]}.at", f'0x{point.address:X} lies inside "{before.key}" (0x{before.address:X}).'
                )
            )
    return problems
