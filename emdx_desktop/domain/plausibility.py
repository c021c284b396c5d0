"""What a quantity can be at all. Own design: physical bounds, wide on purpose; a profile may narrow them.

They catch words that are no measurement (garbage, wrong word order), not unusual ones.
"""

from __future__ import annotations

from collections.abc import Sequence

_BOUNDS: Sequence[tuple[str, float | None, float | None]] = (
    # prefix of the quantity id, lowest, highest in base units; the first match counts
    ("voltage", 0.0, 1.2e6),
    ("residual_current", 0.0, 1e5),
    ("current", -1e6, 1e6),
    ("active_power", -1e10, 1e10),
    ("reactive_power", -1e10, 1e10),
    ("apparent_power", -1e10, 1e10),
    ("power_factor", -1.01, 1.01),  # 1 % for rounding in the device
    ("frequency", 0.0, 1000.0),
    ("temperature", -100.0, 1000.0),
    ("unbalance", 0.0, 1000.0),
    ("thd", 0.0, 10_000.0),
    ("harmonic", 0.0, 10_000.0),
    ("analog_input", -100.0, 100.0),
    ("volume_flow", -1e6, 1e6),
    ("trip_value", -1e12, 1e12),
)


def default_limits(quantity_id: str) -> tuple[float | None, float | None]:
    """Lowest and highest plausible value of an instant, base units; None where nothing is known."""
    for prefix, lowest, highest in _BOUNDS:
        if quantity_id.startswith(prefix):
            return lowest, highest
    return None, None
