from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.readings import NoticeLevel
from emdx_desktop.storage.space import space_notice

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (0.5, None, ""),
        (0.2, None, ""),
        (0.19, NoticeLevel.WARNING, "below 20%"),
        (0.04, NoticeLevel.ALARM, "below 5%"),
        (0.009, NoticeLevel.ALARM, "below 1%"),
    ],
)
def test_a_filling_disk_is_told_in_steps(
    free: float, level: NoticeLevel | None, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(1e12, 1e12 * (1 - free), 1e12 * free))
    notice = space_notice(tmp_path, 7)
    if level is None:
        assert notice is None
    else:
        assert notice is not None
        assert (notice.level, notice.since_ts_ms) == (level, 7)
        assert words in notice.message


def test_a_disk_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match="does not answer"):
        space_notice(tmp_path / "gone", 0)
