"""The lock names every library exactly, fits pyproject.toml, and names no place to fetch from."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXACT = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?\Z")


def locked(*names: str) -> dict[str, Requirement]:
    lines: list[str] = []
    for name in names:
        lines += (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.mark.parametrize("name", ["run.txt", "test.txt"])
def test_lock_lines_are_exact_and_name_no_host(name: str) -> None:
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or EXACT.match(line), line


@pytest.mark.parametrize(
    ("wanted", "files"),
    [
        (PROJECT["dependencies"], ("run.txt",)),
        (PROJECT["optional-dependencies"]["test"], ("run.txt", "test.txt")),
    ],
)
def test_lock_satisfies_what_the_project_asks_for(wanted: list[str], files: tuple[str, ...]) -> None:
    lock = locked(*files)
    for text in wanted:
        requirement = Requirement(text)
        (pinned,) = lock[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pinned.version), text


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_lock_is_complete_for_linux_and_windows(platform: str) -> None:
    """Nothing is installed beside the lock, so what a locked library needs must be in it, on both systems."""
    lock = locked("run.txt", "test.txt")
    environment = {**default_environment(), "sys_platform": platform, "extra": ""}
    environment["platform_system"] = "Windows" if platform == "win32" else "Linux"
    environment["os_name"] = "nt" if platform == "win32" else "posix"
    for name in lock:
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                assert canonicalize_name(requirement.name) in lock, f"{name} needs {text}"


def test_installed_versions_are_the_locked_ones() -> None:
    for name, requirement in locked("run.txt", "test.txt").items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(importlib.metadata.version(name)), (
                f"{name} is not the locked one: `{Path(sys.executable).name} dev.py test` installs it"
            )
