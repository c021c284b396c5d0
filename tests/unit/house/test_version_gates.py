"""Releases of the libraries that are known to lose data or to abort are refused."""

import apsw
import pytest

from emdx_desktop.app.qt_version import refuse_unsafe_qt
from emdx_desktop.domain.errors import EnvironmentFault


def test_pyside_6_12_0_is_refused_before_python_3_12() -> None:
    with pytest.raises(EnvironmentFault, match=r"6\.11\.3"):
        refuse_unsafe_qt("6.12.0", (3, 11))


@pytest.mark.parametrize(("pyside", "python"), [("6.12.0", (3, 12)), ("6.11.3", (3, 11)), ("6.12.1", (3, 11))])
def test_other_releases_of_pyside_are_taken(pyside: str, python: tuple[int, int]) -> None:
    refuse_unsafe_qt(pyside, python)


def test_locked_apsw_bundles_a_sqlite_that_keeps_its_commits() -> None:
    # 3.7.0 to 3.51.2 can lose committed transactions in WAL mode
    assert tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) >= (3, 51, 3)
    assert apsw.using_amalgamation, "apsw must carry its own SQLite, not the system's"
