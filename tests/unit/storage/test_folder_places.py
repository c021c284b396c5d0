from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage import folder_check
from emdx_desktop.storage.folder_check import prepare_folder, unsafe_reason, windows_path_reason

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /mnt/share nfs4 rw 0 0
/dev/sdb1 /media/usb\\040stick vfat rw 0 0
//server/c /mnt/cifs cifs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/home/me/site", ""),
        ("/mnt/share/site", "a network share"),
        ("/mnt/sharely/site", ""),
        ("/mnt/cifs", "a network share"),
        ("/media/usb stick/site", "a FAT medium, as USB sticks are"),
    ],
)
def test_network_and_removable_places_are_recognised(place: str, reason: str) -> None:
    assert unsafe_reason(Path(place), MOUNTS) == reason


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (r"C:\ProgramData\EMDX\Site", ""),
        (r"\\server\share\site", "a network share"),
        (r"C:\Users\me\OneDrive\site", "OneDrive"),
        (r"C:\Users\me\OneDrive - Company\site", "OneDrive"),
        (r"D:\Cloud\site", "OneDrive"),
        ("C:\\" + "x" * 230, "259 characters"),
    ],
)
def test_windows_paths_are_judged_by_name(place: str, words: str) -> None:
    reason = windows_path_reason(PureWindowsPath(place), one_drive=r"D:\Cloud")
    assert words in reason
    assert bool(words) == bool(reason)


def test_an_unsafe_place_is_refused_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_check, "unsafe_reason", lambda _folder: "a network share")
    with pytest.raises(StorageFault, match="lies on a network share, where a database can be damaged"):
        prepare_folder(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "history").is_dir()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["history"]
