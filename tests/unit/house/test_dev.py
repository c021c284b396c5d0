"""dev.py: what it tells when the machine lacks something, and that a second start does no work twice."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_under_test", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path)
    return module


def test_wrong_command_is_refused_with_exit_code_2() -> None:
    done = subprocess.run([sys.executable, ROOT / "dev.py", "dmeo"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "dmeo" in done.stderr
    assert "Traceback" not in done.stderr


def test_old_python_is_refused_with_one_sentence(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "OLDEST_PYTHON", (99, 0))
    assert dev.main(["demo"]) == 3
    assert capsys.readouterr().err.endswith("install Python 99.0 or later and start dev.py with it\n")


def test_without_root_the_packages_to_install_are_named(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.SystemPackages, "can_install", staticmethod(lambda: False))
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(dev.SetupError, match=r"sudo apt-get install libegl1 libgl1$"):
        dev.SystemPackages().require(["libgl1", "libegl1", "libgl1"], "Qt needs libraries that this system lacks")


def test_missing_libraries_become_debian_packages(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        assert dev.missing_qt_libraries() == set()
        return
    ldd = "\tlibGL.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibEGL.so.1 => not found\n"
    real_run = subprocess.run

    def run(command: Sequence[str], **options: object) -> object:
        if command[0] == "ldd":
            return subprocess.CompletedProcess(command, 0, stdout=ldd)
        return real_run(command, **options)  # type: ignore[call-overload]  # handed on as it came

    monkeypatch.setattr(dev.subprocess, "run", run)
    asked: list[str] = []
    system = dev.SystemPackages()
    monkeypatch.setattr(system, "require", lambda packages, _what_for: asked.extend(packages))
    monkeypatch.setattr(dev, "has_fonts", lambda: True)
    with pytest.raises(dev.SetupError, match=r"Qt still lacks libEGL\.so\.1, libGL\.so\.1"):
        dev.check_qt_system(system)
    assert sorted(asked) == ["libegl1", "libgl1"]


def test_libraries_are_installed_once_for_the_same_lock(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], **_options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(dev.subprocess, "run", run)
    monkeypatch.setattr(dev, "put_on_path", lambda: None)
    monkeypatch.setattr(dev, "check_qt_version", lambda: None)
    dev.install_libraries("run")
    dev.install_libraries("run")
    assert len(calls) == 1
    assert "--no-deps" in calls[0]


def test_pip_failure_is_told_in_its_own_last_words(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = "WARNING: slow\nERROR: No matching distribution found for apsw==3.54.1.0\n"
    monkeypatch.setattr(
        dev.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, stdout="", stderr=stderr)
    )
    with pytest.raises(dev.SetupError, match=r"No matching distribution found for apsw==3\.54\.1\.0$"):
        dev.install_libraries("run")
    assert not (dev.VENV / ".installed-run").exists()


def test_one_failed_gate_makes_the_run_fail(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.report([("ruff check", 0, 0.1), ("mypy", 1, 3.0)]) == 1
    assert "mypy               FAILED (exit 1), 3 s" in capsys.readouterr().out
    assert dev.report([("ruff check", 0, 0.1)]) == 0
