"""Whatever a profile file holds, parsing it ends in a profile or in named mistakes, never in a crash."""

import copy
import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.profile_parsing import parse_profile
from emdx_desktop.modbus.profile_loader import load_catalogue

DEVICES = Path(__file__).parents[3] / "resources" / "devices"
FILES = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(DEVICES.glob("*.toml"))]

SCALARS = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.booleans(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.times(),
    st.sampled_from(["0.1", "unknown", "u32", "ascii", "power", "kW", "live", "ct_ratio", "unstated", ""]),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested tables and lists."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] + [path for key, child in children for path in paths(child, (*here, key))]


PLACES = [paths(data)[1:] for data in FILES]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_shipped_profile_with_junk_in_it_is_taken_or_refused_by_name(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(FILES) - 1))
    broken = copy.deepcopy(FILES[index])
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(PLACES[index]))
        table: Any = broken
        try:
            for key in parents:
                table = table[key]
            table[last] = data.draw(JUNK)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier piece of junk took this place away
    try:
        messages = [parse_profile(broken, "m1").model]
    except ConfigurationError as error:
        messages = [problem.message for problem in error.problems]
    assert messages
    assert all(messages)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JUNK, max_size=5))
def test_a_file_of_junk_is_refused_by_name(junk: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        parse_profile(junk, "m1")


@settings(max_examples=100, deadline=None)
@given(content=st.one_of(st.binary(max_size=300), st.text(alphabet="[]{}\"'=.,#\n\\ a1", max_size=300).map(str.encode)))
def test_a_file_of_any_bytes_is_a_problem_not_a_crash(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "x.toml").write_bytes(content)
    catalogue = load_catalogue([folder])
    assert not catalogue.profiles
    assert all(problem.where.startswith("x.toml") for problem in catalogue.problems)
    assert catalogue.problems


def test_dates_are_no_numbers() -> None:
    broken = copy.deepcopy(FILES[0])
    broken["device"]["max_registers"] = datetime.time(12, 30)
    with pytest.raises(ConfigurationError, match="max_registers"):
        parse_profile(broken, "m1")
