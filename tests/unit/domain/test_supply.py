"""What a supply from downstream does to each quantity; pairs worked out by hand."""

import pytest

from emdx_desktop.domain.plausibility import default_limits
from emdx_desktop.domain.supply import reverse_quantity


@pytest.mark.parametrize(
    ("quantity", "other", "sign"),
    [
        ("active_power", "active_power", -1),
        ("reactive_power_l2", "reactive_power_l2", -1),
        ("power_factor_l1", "power_factor_l1", -1),
        ("apparent_power", "apparent_power", 1),
        ("voltage_l1_n", "voltage_l1_n", 1),
        ("reactive_kind", "reactive_kind", 1),
        ("active_energy_import", "active_energy_export", 1),
        ("active_energy_export_t2", "active_energy_import_t2", 1),
        ("reactive_energy_import_partial_inductive", "reactive_energy_export_partial_inductive", 1),
        ("active_energy_total", "active_energy_total", 1),
        ("energy_balance", "energy_balance", -1),
        ("active_power_demand", "active_power_export_demand", 1),
        ("active_power_export_demand_max", "active_power_demand_max", 1),
        ("apparent_power_demand", "apparent_power_demand", 1),
        ("active_power_min", "active_power_max", -1),
        ("reactive_power_max", "reactive_power_min", -1),
        ("active_power_average", "active_power_average", -1),
        ("current_l1_max", "current_l1_max", 1),
    ],
)
def test_downstream_takes_the_other_series_or_sign(quantity: str, other: str, sign: int) -> None:
    assert reverse_quantity(quantity) == (other, sign)


def test_a_quantity_without_known_bounds_has_none() -> None:
    assert default_limits("pulse_count") == (None, None)
    assert default_limits("voltage_l12")[0] == 0.0
