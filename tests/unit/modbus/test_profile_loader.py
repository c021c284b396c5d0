"""A broken profile file names itself and its key; the others load (fault A6)."""

import time
from pathlib import Path

import pytest

from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.profiles import Evidence
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.modbus.profile_loader import MAX_FILE_BYTES, load_catalogue, load_profile

DEVICES = Path(__file__).parents[3] / "resources" / "devices"
SHIPPED = sorted(path.stem for path in DEVICES.glob("*.toml"))

RIGHT = """
maker = "Maker"
family = "Meters"
model = "{model}"
evidence = "official"
source = "Table"
[documents]
DOC = "Table"
[device]
max_registers = 125
[defaults]
source = "DOC"
evidence = "official"
[groups]
live = {{ priority = "live" }}
[quantities.live]
voltage_l1_n = {{ at = 0, type = "u16", unit = "V", label = "V1" }}
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / f"{name}.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problem_of(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0])


def test_a_broken_file_names_itself_and_its_key_and_the_others_load(tmp_path: Path) -> None:
    write(tmp_path, "good", RIGHT.format(model="M1"))
    write(tmp_path, "bad", RIGHT.format(model="M2").replace('unit = "V"', 'unit = "W"'))
    catalogue = load_catalogue([tmp_path])
    assert list(catalogue.profiles) == ["good"]
    assert [problem.where for problem in catalogue.problems] == ["bad.toml: quantities.live.voltage_l1_n.unit"]


def test_a_later_folder_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    shipped, own, missing = tmp_path / "shipped", tmp_path / "own", tmp_path / "missing"
    shipped.mkdir()
    own.mkdir()
    write(shipped, "a", RIGHT.format(model="shipped"))
    write(shipped, "b", RIGHT.format(model="shipped"))
    write(own, "a", RIGHT.format(model="own"))
    write(own, "b", "broken = [")
    catalogue = load_catalogue([shipped, missing, own])
    assert {key: profile.model for key, profile in catalogue.profiles.items()} == {"a": "own", "b": "shipped"}
    assert [problem.where for problem in catalogue.problems] == ["b.toml"]


def test_a_file_larger_than_a_profile_can_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "big", b"#" * (MAX_FILE_BYTES + 1))
    assert "larger than 1000 kB" in problem_of(path)


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    assert "not UTF-8" in problem_of(write(tmp_path, "latin", 'maker = "Müller"'.encode("latin-1")))


def test_a_folder_with_the_name_of_a_profile_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "x.toml").mkdir()
    assert "cannot be read" in str(load_catalogue([tmp_path]).problems[0])


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 9,
        "a = " + "{ b = " * 9,
        "a = " + "[" * 100_000,
        "a = 1\nb = [[[[[[[[[1]]]]]]]]]",
        ".".join("a" * 10) + " = 1",
        "[" + ".".join(["a"] * 200_000) + "]",
        '"a"."b"."c"."d"."e"."f"."g"."h"."i"."j" = 1',
    ],
)
def test_deep_nesting_is_refused_before_the_parser_sees_it(tmp_path: Path, text: str) -> None:
    started = time.perf_counter()
    assert "nested deeper than 8" in problem_of(write(tmp_path, "deep", text))
    assert time.perf_counter() - started < 5.0  # the parser itself would take minutes for the long key


@pytest.mark.parametrize(
    "text",
    [
        'a = "[[[[[[[[[["',
        "a = '[[[[[[[[[['",
        'a = """[[[[[[[[[[ " \\""" [[[[ """',
        "a = '''[[[[[[[[[[ ' '''",
        "# [[[[[[[[[[[[ a.b.c.d.e.f.g.h.i.j",
        "a = ]]]]]]]",
        'a = "' + '\\"' * 50_000,
        'a = """' + '\\"""' * 20_000,
        "a = '''" + "'" * 2,
    ],
)
def test_brackets_in_texts_and_comments_do_not_count(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_profile(write(tmp_path, "text", text))
    assert not any("nested" in str(problem) for problem in caught.value.problems)


@pytest.mark.parametrize(
    "text",
    ["a = 1\na = 2", "a = " + "9" * 200_000, "a = 10:00", "a = NO", "a == 1", "= 1", "[a]\n[a]"],
)
def test_what_toml_refuses_is_one_problem(tmp_path: Path, text: str) -> None:
    assert "is not valid TOML" in problem_of(write(tmp_path, "odd", text))


def test_a_number_too_large_for_any_register_is_refused(tmp_path: Path) -> None:
    assert "bits" in problem_of(write(tmp_path, "odd", "a = 0x" + "F" * 100_000))


def test_every_shipped_profile_loads_without_a_problem() -> None:
    catalogue = load_catalogue([DEVICES])
    assert catalogue.problems == ()
    assert sorted(catalogue.profiles) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_row_of_a_shipped_profile_names_a_listed_document(name: str) -> None:
    profile = load_profile(DEVICES / f"{name}.toml")
    for point in profile.points:
        assert point.source
        assert all(source in profile.sources for source in point.source.split(", ")), point.key
        assert point.evidence in Evidence
        assert point.label


@pytest.mark.parametrize("name", SHIPPED)
def test_every_group_of_a_shipped_profile_reads_something(name: str) -> None:
    profile = load_profile(DEVICES / f"{name}.toml")
    assert {group.name for group in profile.groups} == {point.group for point in profile.points} - {""}
    assert all(point.quantity is None or point.quantity in QUANTITIES for point in profile.points)


def test_the_table_of_0_146_68_is_complete() -> None:
    assert len(load_profile(DEVICES / "legrand-0146-68.toml").points) == 109


@pytest.mark.parametrize(
    ("number", "profile_id"),
    [
        ("0 146 68", "legrand-0146-68"),
        ("014668", "legrand-0146-68"),
        ("4 120 45", "legrand-412045"),
        ("4 120 51", "ime-1000h"),
        ("4 120 53", "ime-1000h-96x96"),
        ("0 046 77", "legrand-004677"),
        ("4850 3054", "socomec-countis-e27-e28"),
        ("sdm630-modbus", "eastron-sdm630"),
        ("EM340", "carlo-gavazzi-em340"),
        ("generic-modbus-meter", "generic-modbus-meter"),
    ],
)
def test_a_catalogue_number_finds_its_profile(number: str, profile_id: str) -> None:
    profile = load_catalogue([DEVICES]).find(number)
    assert profile is not None
    assert profile.id == profile_id


def test_an_unknown_model_finds_none() -> None:
    assert load_catalogue([DEVICES]).find("0 000 00") is None


def test_of_two_profiles_for_one_number_the_own_one_is_taken(tmp_path: Path) -> None:
    own = RIGHT.format(model="own").replace('model = "own"', 'model = "own"\ncatalogue_numbers = ["0 146 68"]')
    write(tmp_path, "a-own", own)
    profile = load_catalogue([DEVICES, tmp_path]).find("0 146 68")
    assert profile is not None
    assert profile.model == "own"


def test_no_catalogue_number_is_claimed_twice() -> None:
    numbers = [
        number for profile in load_catalogue([DEVICES]).profiles.values() for number in profile.catalogue_numbers
    ]
    assert len(numbers) == len(set(numbers))
