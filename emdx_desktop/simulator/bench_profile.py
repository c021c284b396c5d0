"""A profile of our own for measuring, the same on both ends: u32 values in holding registers from 0 on."""

from __future__ import annotations

from fractions import Fraction

from emdx_desktop.domain.profiles import (
    AddressRange,
    DeviceProfile,
    Evidence,
    PointDef,
    Priority,
    ReadGroupDef,
    SerialDefaults,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind

GROUP = "live"
SOURCE = "own design, for measuring"


def bench_profile(registers: int, response_ms: int = 20) -> DeviceProfile:
    """A device of `registers` holding registers, two for each of its values, all read live in one request.

    The first value is the counter `active_energy_import` (1 Wh a count), the others are instants in the order of the
    table of quantities, in steps of their history exponent.

    Args:
        registers: Even, 2 to 124.
        response_ms: Latency the profile promises.

    Raises:
        ValueError: Not an even number in that range.
    """
    if registers % 2 or not 2 <= registers <= 124:
        raise ValueError(f"{registers} registers: only even numbers from 2 to 124 make sense")
    instants = [quantity for quantity in QUANTITIES.values() if quantity.kind is QuantityKind.INSTANT]
    chosen = [QUANTITIES["active_energy_import"], *instants][: registers // 2]
    points = tuple(
        PointDef(
            key=quantity.id,
            quantity=quantity.id,
            label=quantity.name,
            address=2 * i,
            document_register=str(2 * i),
            words=2,
            value_type=ValueType.U32,
            function_code=3,
            scale=Fraction(10) ** quantity.exponent,
            group=GROUP,
            evidence=Evidence.SIMULATION,
            source="bench",
        )
        for i, quantity in enumerate(chosen)
    )
    return DeviceProfile(
        id=f"bench-{registers}",
        maker="EMDX Desktop",
        catalogue_numbers=(),
        family="Bench",
        model=f"{registers} registers",
        source=SOURCE,
        sources={"bench": SOURCE},
        # answered by this program's own simulator only; "field" because it is really polled
        evidence=Evidence.FIELD,
        word_order=WordOrder.HIGH_FIRST,
        is_byte_swapped=False,
        serial=SerialDefaults(9600, "none", 1),
        unit_id_default=1,
        max_registers=125,
        needs_even_count=False,
        readable=(AddressRange(3, 0, registers - 1),),
        pause_ms=0,
        response_ms=response_ms,
        units=1,
        groups=(ReadGroupDef(GROUP, Priority.LIVE),),
        points=points,
        scale_rules={},
    )
