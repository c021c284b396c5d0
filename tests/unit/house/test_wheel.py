"""The program works from a wheel: its resources travel with it and are found there."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

FIND_RESOURCES = """
import emdx_desktop
from emdx_desktop.app.paths import resource_folder
print(emdx_desktop.__file__)
print(resource_folder())
"""


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout (a build leaves folders behind), unpacked."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("emdx_desktop", "resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    wheels = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", wheels, source], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.glob("*.whl")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_every_resource_ships_inside_the_wheel(unpacked_wheel: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}

    assert names(ROOT / "resources") <= names(unpacked_wheel / "emdx_desktop" / "resources")


def test_resources_are_found_from_the_wheel_alone(unpacked_wheel: Path, tmp_path: Path) -> None:
    # platformdirs is the one library the lookup needs; the checkout itself must not be on the path
    import platformdirs

    libraries = tmp_path / "libraries"
    shutil.copytree(Path(platformdirs.__file__).parent, libraries / "platformdirs")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(unpacked_wheel), str(libraries)))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", FIND_RESOURCES],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    package, resources = done.stdout.splitlines()
    assert Path(package).is_relative_to(unpacked_wheel)
    assert Path(resources) == unpacked_wheel / "emdx_desktop" / "resources"
