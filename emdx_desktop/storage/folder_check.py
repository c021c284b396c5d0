"""Refuses places where a database cannot be kept safely, with the reason."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path, PureWindowsPath

from emdx_desktop.domain.errors import StorageFault

UNSAFE_FILE_SYSTEMS = {
    "nfs": "a network share",
    "nfs4": "a network share",
    "cifs": "a network share",
    "smb3": "a network share",
    "smbfs": "a network share",
    "fuse.sshfs": "a network share",
    "fuse.rclone": "a cloud folder",
    "vfat": "a FAT medium, as USB sticks are",
    "msdos": "a FAT medium, as USB sticks are",
    "exfat": "an exFAT medium, as USB sticks are",
}
"""File systems without dependable locks or without a journal, and what a person calls them."""

LONGEST_WINDOWS_PATH = 259
_LONGEST_NAME_INSIDE = len("\\history\\2026-10.r12.db.damaged-20261103T141500Z-journal")
_WINDOWS_DRIVES = {2: "a removable drive", 4: "a network drive", 5: "a CD or DVD"}


def prepare_folder(folder: Path) -> None:
    """Make the data folder if it is missing and see that history can live there.

    Raises:
        StorageFault: It cannot; says why and what to do.
    """
    reason = unsafe_reason(folder)
    if reason:
        raise StorageFault(
            f"The data folder {folder} lies on {reason}, where a database can be damaged: choose a folder on a disk of "
            "this PC; backups may go there."
        )
    try:
        (folder / "history").mkdir(parents=True, exist_ok=True)
        probe = folder / f"write-test-{uuid.uuid4().hex}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise StorageFault(
            f"The data folder {folder} cannot be written ({error.strerror}), so nothing could be saved there: "
            "check its permissions or choose another folder."
        ) from error


def unsafe_reason(folder: Path, mounts: str | None = None) -> str:
    """Why a place is unsafe, in words that follow "lies on"; empty when it is safe.

    Args:
        folder: Need not exist yet.
        mounts: Text of /proc/mounts; None reads it.
    """
    if sys.platform == "win32":
        return _windows_reason(folder)
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    place = os.path.realpath(folder)
    best = ("", "")
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        # blanks in mount points are written as \040
        point = parts[1].replace("\\040", " ").replace("\\011", "\t")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, parts[2])
    return UNSAFE_FILE_SYSTEMS.get(best[1], "")


def windows_path_reason(folder: PureWindowsPath, one_drive: str = "") -> str:
    """What a Windows path alone tells: shares, OneDrive, length."""
    text = str(folder)
    if text.startswith("\\\\") and not text.startswith("\\\\?\\"):
        return "a network share"
    if "onedrive" in (part.casefold().split(" - ")[0] for part in folder.parts) or (
        one_drive and folder.is_relative_to(PureWindowsPath(one_drive))
    ):
        return "a OneDrive folder, which copies files while they change"
    if len(text) + _LONGEST_NAME_INSIDE > LONGEST_WINDOWS_PATH:
        return f"a path so long that file names inside exceed the {LONGEST_WINDOWS_PATH} characters of Windows"
    return ""


def _windows_reason(folder: Path) -> str:
    absolute = Path(os.path.abspath(folder))
    reason = windows_path_reason(PureWindowsPath(absolute), os.environ.get("ONEDRIVE", ""))
    if reason:
        return reason
    import ctypes  # only there is it needed

    get_drive_type = getattr(ctypes, "windll").kernel32.GetDriveTypeW  # noqa: B009  # no such name on Linux
    return _WINDOWS_DRIVES.get(int(get_drive_type(absolute.anchor)), "")
