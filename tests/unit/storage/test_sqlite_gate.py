from __future__ import annotations

import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.sqlite_gate import require_safe_sqlite


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.50.9", "3.51.2"])
def test_releases_that_can_lose_commits_are_refused_with_a_sentence(version: str) -> None:
    with pytest.raises(StorageFault, match=f"SQLite {version} can lose saved minutes"):
        require_safe_sqlite(version)


@pytest.mark.parametrize("version", ["3.6.23", "3.51.3", "3.54.1", "4.0.0"])
def test_other_releases_pass(version: str) -> None:
    require_safe_sqlite(version)


def test_the_bundled_release_passes() -> None:
    require_safe_sqlite()
