import pytest
from PySide6.QtCore import QLocale

from emdx_desktop.ui.number_format import NumberFormat, format_age


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [
        (1234567.8, 1, "1\u202f234\u202f567.8"),
        (-0.19, 2, "−0.19"),
        (-0.04, 1, "0.0"),
        (0, 1, "0.0"),
        (999.96, 1, "1\u202f000.0"),
    ],
)
def test_fixed(numbers, number, decimals, text):
    assert numbers.fixed(number, decimals) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(231.42, "231.4"), (50.012, "50.01"), (1234.5, "1\u202f234"), (0.0345, "0.035"), (0.0, "0.000"), (-9.2, "−9.200")],
)
def test_live_values_have_four_significant_digits(numbers, number, text):
    assert numbers.live(number) == text


def test_decimal_sign_is_the_language_s(qapp):
    assert NumberFormat(QLocale("fr")).fixed(1234.5, 1) == "1\u202f234,5"


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(1.94, "1.9\u00a0s"), (34.2, "34\u00a0s"), (125, "2\u00a0min"), (3 * 3600, "3\u00a0h"), (200_000, "2\u00a0d")],
)
def test_age(numbers, age_s, text):
    assert format_age(age_s, numbers) == text
