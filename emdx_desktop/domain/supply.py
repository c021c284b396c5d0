"""Supply direction: what turning the current transformers round does to each quantity.

Source: project design, "Signs": downstream swaps the sign of P and Q and the import and export series
at decoding; the power factor carries the sign of P.
"""

from __future__ import annotations

from emdx_desktop.domain.quantities import EXPORT_IMPORT_PAIRS

_SIGNED_PREFIXES = ("active_power", "reactive_power", "power_factor")


def reverse_quantity(id_: str) -> tuple[str, int]:
    """The series a reading belongs to when the supply is downstream, and the sign it takes.

    Returns:
        Quantity id and +1 or -1. Applied twice it is the identity.
    """
    if id_ in EXPORT_IMPORT_PAIRS:
        return EXPORT_IMPORT_PAIRS[id_], 1
    if id_ == "energy_balance":
        return id_, -1
    if not id_.startswith(_SIGNED_PREFIXES):
        return id_, 1
    if "_demand" in id_:  # demands are magnitudes, kept apart by direction
        if "_export_demand" in id_:
            return id_.replace("_export_demand", "_demand"), 1
        return id_.replace("_demand", "_export_demand"), 1
    if id_.endswith("_min"):  # the lowest of -P is minus the highest of P
        return id_.removesuffix("_min") + "_max", -1
    if id_.endswith("_max"):
        return id_.removesuffix("_max") + "_min", -1
    return id_, -1
