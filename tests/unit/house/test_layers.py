"""The layers of the program, kept by contracts and by a fresh process."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "emdx_desktop"

IMPORT_ALL_BELOW_UI = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted(name for name in sys.modules if name.split(".")[0] in ("PySide6", "shiboken6", "pyqtgraph")))
"""


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_below_ui() -> list[str]:
    names = (module_name(file) for file in sorted(PACKAGE.rglob("*.py")))
    return [name for name in names if not name.startswith("emdx_desktop.ui")]


def test_everything_below_ui_imports_without_qt() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL_BELOW_UI, *modules_below_ui()],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", "these came along: " + done.stdout


def test_import_contracts_are_kept() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_have_nouns_for_names_and_a_readable_size() -> None:
    refused = {"utils", "util", "helpers", "helper", "common", "manager", "core", "misc"}
    for file in PACKAGE.rglob("*.py"):
        assert not refused & {part.lower() for part in file.relative_to(PACKAGE).with_suffix("").parts}, file
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 600, f"{file.relative_to(ROOT)} has {lines} lines; about 300 read well: split it"


def test_wheel_lists_every_package_folder() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    found = {module_name(init) for init in PACKAGE.rglob("__init__.py")}
    assert listed == found | {"emdx_desktop.resources"}
