"""Columns of a read group: which quantity comes from which point, turned by the supply direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from emdx_desktop.domain.installation import SupplyDirection
from emdx_desktop.domain.profile_points import PF_PREFIX
from emdx_desktop.domain.profiles import PointDef
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.supply import reverse_quantity


class ColumnKind(Enum):
    """How a column is made from its point."""

    INSTANT = 0
    COUNTER = 1
    STATE = 2
    REACTIVE_KIND = 3  # derived from a power factor whose sign says inductive or capacitive


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity of a group.

    Attributes:
        quantity: Id, after the supply direction was applied.
        kind: How it is made.
        point: Where it comes from.
        sign: +1, or -1 when the supply direction turns it round.
        power: For a power factor whose own sign is no direction: the active power that gives it.
        sign_source: Point of the sign register, if any.
        power_sign_source: The same of `power`.
    """

    quantity: str
    kind: ColumnKind
    point: PointDef
    sign: int
    power: PointDef | None = None
    sign_source: PointDef | None = None
    power_sign_source: PointDef | None = None


_KINDS = {
    QuantityKind.INSTANT: ColumnKind.INSTANT,
    QuantityKind.COUNTER: ColumnKind.COUNTER,
    QuantityKind.STATE: ColumnKind.STATE,
}


def build_columns(points: Sequence[PointDef], supply: SupplyDirection) -> tuple[Column, ...]:
    """Columns of the points of one group: instants, counters, states, then derived states."""
    by_key = {point.key: point for point in points}
    columns: list[Column] = []
    for point in points:
        if point.quantity is None:
            continue
        quantity, sign = point.quantity, 1
        if supply is SupplyDirection.DOWNSTREAM:
            quantity, sign = reverse_quantity(quantity)
        has_power = point.pf_sign or point.pf_follows_power
        power = by_key[point.key.replace(PF_PREFIX, "active_power", 1)] if has_power else None
        sign_source = by_key[point.sign_point] if point.sign_point else None
        power_sign_source = by_key[power.sign_point] if power is not None and power.sign_point else None
        kind = _KINDS[QUANTITIES[point.quantity].kind]
        columns.append(Column(quantity, kind, point, sign, power, sign_source, power_sign_source))
        if point.pf_sign:
            derived = point.key.replace(PF_PREFIX, "reactive_kind", 1)
            columns.append(Column(derived, ColumnKind.REACTIVE_KIND, point, 1))
    return tuple(sorted(columns, key=lambda column: column.kind.value))
