"""Set-up and run on a fresh machine: `python3 dev.py setup | demo | test | bench | lint | shots | run ARGS…`.

Needs Python 3.11 or later and nothing else. Everything lands in `.venv` beside this file; system packages are
installed only as root on a system with apt, otherwise the command to type is printed.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
IS_WINDOWS = sys.platform == "win32"
SCRIPTS = VENV / ("Scripts" if IS_WINDOWS else "bin")
PYTHON = SCRIPTS / ("python.exe" if IS_WINDOWS else "python")
OLDEST_PYTHON = (3, 11)
LOCKS = {"run": ("run.txt",), "test": ("run.txt", "test.txt")}

# Debian 12 packages of the shared libraries that Qt's wheels expect from the system. Source: ldd of the wheels'
# libraries and plugins in a bare Debian 12.
PACKAGE_OF_LIBRARY = {
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libGLX.so.0": "libglx0",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libbrotlidec.so.1": "libbrotli1",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
}
FONT_PACKAGE = "fonts-dejavu-core"
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
LIBMODBUS = ("libmodbus.so.5", "libmodbus5")  # the Modbus server not written here that tests poll

GATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("mypy", ("mypy",)),
    ("import contracts", ("importlinter.cli", "lint")),
)


class SetupError(Exception):
    """The machine lacks something. The message is one sentence: what, and what to do."""


def say(text: str) -> None:
    """Tell the person what happens now."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


# --- system packages -------------------------------------------------------------------------------


class SystemPackages:
    """Installs Debian packages as root; otherwise says which are needed."""

    def __init__(self) -> None:
        self._is_list_fresh = False

    @staticmethod
    def can_install() -> bool:
        """Root, on a system with apt."""
        return not IS_WINDOWS and hasattr(os, "geteuid") and os.geteuid() == 0 and bool(shutil.which("apt-get"))

    def require(self, packages: Sequence[str], what_for: str) -> None:
        """Install packages, or say how.

        Raises:
            SetupError: They are missing and cannot be installed from here.
        """
        wanted = sorted(set(packages))
        names = " ".join(wanted)
        if not self.can_install():
            if shutil.which("apt-get"):
                raise SetupError(f"{what_for} - install what is missing: sudo apt-get install {names}")
            raise SetupError(f"{what_for} - install what is missing (Debian's names for it): {names}")
        say(f"installing system packages: {names}")
        if not self._is_list_fresh:
            self._apt("update")
            self._is_list_fresh = True
        self._apt("install", "-y", "--no-install-recommends", *wanted)

    @staticmethod
    def _apt(*arguments: str) -> None:
        command = ["apt-get", "-q", *arguments]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            reasons = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("E:")]
            reason = reasons[0][2:].strip() if reasons else f"exit code {done.returncode}"
            raise SetupError(f"`{shlex.join(command)}` failed ({reason}) - run it by hand to see all it says")


# --- virtual environment ---------------------------------------------------------------------------


def interpreter_works() -> bool:
    """Whether `.venv` holds a Python that starts, is new enough and has pip."""
    if not PYTHON.exists():
        return False
    probe = f"import sys, pip; raise SystemExit(sys.version_info[:2] < {OLDEST_PYTHON})"
    try:
        return subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode == 0
    except OSError:
        return False


def make_environment(system: SystemPackages) -> None:
    """Make `.venv`, also where Debian's python3-venv is missing.

    Raises:
        SetupError: It could not be made.
    """
    if interpreter_works():
        return
    say(f"making the virtual environment {VENV}")
    if importlib.util.find_spec("ensurepip") is None and system.can_install():
        is_system_python = Path(sys.executable).resolve().parent == Path("/usr/bin")
        package = "python3-venv" if is_system_python else f"python3.{sys.version_info.minor}-venv"
        system.require([package], "Python cannot make virtual environments")
    # asked of a fresh process: this one may have looked before the package came
    has_ensurepip = _succeeds([sys.executable, "-c", "import ensurepip, venv"])
    if has_ensurepip:
        _must([sys.executable, "-m", "venv", "--clear", str(VENV)], "The virtual environment could not be made")
    elif _succeeds([sys.executable, "-c", "import pip, venv"]):
        _must(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)],
            "The virtual environment could not be made",
        )
        _must(
            [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "-q", "pip"],
            "pip could not be put into the virtual environment",
        )
    else:
        raise SetupError(
            "Python here can make no virtual environment (ensurepip and pip are both missing) - "
            f"install it: sudo apt-get install python3-venv (or python3.{sys.version_info.minor}-venv)"
        )
    if not interpreter_works():
        raise SetupError(f"The Python in {VENV} does not start - delete that folder and try again")


def install_libraries(level: str) -> None:
    """Install the locked libraries unless the same locks were installed before.

    Args:
        level: `run` or `test`.

    Raises:
        SetupError: pip failed.
    """
    locks = [ROOT / "requirements" / name for name in LOCKS[level]]
    digest = hashlib.sha256(b"1")  # raise the number when this function changes what it installs
    digest.update(str(ROOT).encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    fingerprint = digest.hexdigest()
    # a `test` environment holds all that `run` needs, but is stamped with its own locks
    stamp = VENV / f".installed-{level}"
    if stamp.exists() and stamp.read_text(encoding="ascii").strip() == fingerprint:
        return
    say(f"installing the {'test ' if level == 'test' else ''}libraries (about 100 MB to fetch the first time)")
    started = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]
    # the lock lists every library, so nothing may come in beside it, and nothing is compiled
    command += ["--no-deps", "--only-binary", ":all:"]
    for lock in locks:
        command += ["-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = errors[-1][6:].strip() if errors else f"pip ended with exit code {done.returncode}"
        raise SetupError(f"The libraries could not be installed: {reason}")
    put_on_path()
    check_qt_version()
    stamp.write_text(fingerprint + "\n", encoding="ascii")
    say(f"libraries installed in {time.monotonic() - started:.0f} s")


def put_on_path() -> None:
    """Make the checkout importable in `.venv` and give it the `emdx-desktop` command, without a build."""
    site = _output([str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    (Path(site) / "emdx_desktop_checkout.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    if IS_WINDOWS:
        (SCRIPTS / "emdx-desktop.cmd").write_text('@"%~dp0python.exe" -m emdx_desktop %*\n', encoding="ascii")
    else:
        script = SCRIPTS / "emdx-desktop"
        script.write_text(f'#!/bin/sh\nexec "{PYTHON}" -m emdx_desktop "$@"\n', encoding="utf-8")
        script.chmod(0o755)


def check_qt_version() -> None:
    """Refuse the Qt release that aborts on this Python.

    Raises:
        SetupError: PySide6 6.12.0 on Python before 3.12.
    """
    probe = "import sys, importlib.metadata as m; print(*sys.version_info[:2], m.version('PySide6_Essentials'))"
    major, minor, version = _output([str(PYTHON), "-c", probe]).split()
    if version.startswith("6.12.0") and (int(major), int(minor)) < (3, 12):
        raise SetupError(
            f"PySide6 {version} aborts on Python {major}.{minor} after some thousand calls (docs/adr/0002) - "
            "install the locked 6.11.3, or use Python 3.12 or later"
        )


# --- system libraries ------------------------------------------------------------------------------


def missing_qt_libraries() -> set[str]:
    """Shared libraries that Qt's wheels need and the system lacks (Linux; empty elsewhere)."""
    if not sys.platform.startswith("linux") or not shutil.which("ldd"):
        return set()
    probe = "import importlib.util as u; print(u.find_spec('PySide6').submodule_search_locations[0])"
    qt = Path(_output([str(PYTHON), "-c", probe])) / "Qt"
    files = [qt / "lib" / f"libQt6{part}.so.6" for part in ("Core", "Gui", "Widgets", "Svg", "DBus", "OpenGLWidgets")]
    platforms = qt / "plugins" / "platforms"
    files.append(platforms / "libqoffscreen.so")
    if os.environ.get("WAYLAND_DISPLAY"):
        files += platforms.glob("libqwayland*.so")
    if os.environ.get("DISPLAY"):
        files.append(platforms / "libqxcb.so")
    present = [str(file) for file in files if file.exists()]
    done = subprocess.run(["ldd", *present], capture_output=True, text=True, errors="replace")
    return set(re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE))


def has_fonts() -> bool:
    """Whether the system has any outline font."""
    return any(folder.is_dir() and any(folder.rglob("*.[to]tf")) for folder in FONT_FOLDERS)


def check_qt_system(system: SystemPackages) -> None:
    """Install what Qt needs from the system, or say what.

    Raises:
        SetupError: Something is missing and cannot be installed from here.
    """
    if not sys.platform.startswith("linux"):
        return
    missing = missing_qt_libraries()
    packages = [PACKAGE_OF_LIBRARY.get(library, library) for library in missing]
    if not has_fonts():
        packages.append(FONT_PACKAGE)
    if not packages:
        return
    system.require(packages, "Qt needs libraries that this system lacks")
    still_missing = missing_qt_libraries()
    if still_missing:
        raise SetupError(f"Qt still lacks {', '.join(sorted(still_missing))} - install the packages that hold them")


def check_libmodbus(system: SystemPackages) -> None:
    """The tests poll a Modbus server made with libmodbus; get it.

    Raises:
        SetupError: It is missing and cannot be installed from here.
    """
    if not sys.platform.startswith("linux"):
        say("the tests against a libmodbus server are written for Linux and are left out here")
        return
    library, package = LIBMODBUS
    try:
        ctypes.CDLL(library)
    except OSError:
        system.require([package], "The tests poll a Modbus server made with libmodbus")


# --- processes -------------------------------------------------------------------------------------


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SetupError(f"The environment in {VENV} is damaged - delete that folder and try again")
    return done.stdout.strip()


def _must(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SetupError(f"{failure}: {lines[-1] if lines else f'exit code {done.returncode}'}")


def run_here(command: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Run a command to its end with this terminal; Ctrl-C is the command's to handle.

    Returns:
        Its exit code (128 + signal where a signal ended it).
    """
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    while True:
        try:
            code = process.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            continue  # the terminal sent it to the command as well


def python_module(*arguments: str) -> list[str]:
    """Command line of a module in `.venv`."""
    return [str(PYTHON), "-m", *arguments]


# --- commands --------------------------------------------------------------------------------------


def set_up(level: str, system: SystemPackages) -> None:
    """Environment, libraries, system libraries. Instant the second time."""
    make_environment(system)
    install_libraries(level)
    check_qt_system(system)


def command_run(arguments: Sequence[str], system: SystemPackages) -> int:
    """The program itself."""
    set_up("run", system)
    return run_here(python_module("emdx_desktop", *arguments))


def command_demo(arguments: Sequence[str], system: SystemPackages) -> int:
    """A simulated building, really polled; without a screen it runs without a window."""
    return command_run(["--demo", *arguments], system)


def run_gates() -> list[tuple[str, int, float]]:
    """All gates, also after one failed.

    Returns:
        Name, exit code and seconds of each.
    """
    results = []
    for name, arguments in GATES:
        say(f"{name} …")
        started = time.monotonic()
        module, *rest = arguments
        if module == "importlinter.cli":
            command = [str(SCRIPTS / ("lint-imports.exe" if IS_WINDOWS else "lint-imports"))]
        else:
            command = python_module(module, *rest)
        results.append((name, run_here(command), time.monotonic() - started))
    return results


def report(results: Sequence[tuple[str, int, float]]) -> int:
    """One line a gate; 0 when all passed, 1 otherwise."""
    print()
    for name, code, seconds in results:
        print(f"{name:18} {'passed' if code == 0 else f'FAILED (exit {code})'}, {seconds:.0f} s")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def command_lint(arguments: Sequence[str], system: SystemPackages) -> int:
    """Style, types and layers."""
    set_up("test", system)
    return report(run_gates())


def command_test(arguments: Sequence[str], system: SystemPackages) -> int:
    """All gates and tests; arguments go to pytest."""
    set_up("test", system)
    check_libmodbus(system)
    results = run_gates()
    say("pytest …")
    started = time.monotonic()
    code = run_here(python_module("pytest", *arguments), {"QT_QPA_PLATFORM": "offscreen"})
    results.append(("pytest", code, time.monotonic() - started))
    return report(results)


def command_bench(arguments: Sequence[str], system: SystemPackages) -> int:
    """Measures beside their bars; see `dev.py bench --help`."""
    set_up("test", system)
    return run_here([str(PYTHON), str(ROOT / "tests" / "bench" / "bench.py"), *arguments])


def command_shots(arguments: Sequence[str], system: SystemPackages) -> int:
    """A picture of every page, light and dark, into shots/."""
    set_up("test", system)
    return run_here([str(PYTHON), str(ROOT / "tests" / "bench" / "shots.py"), *arguments])


def command_setup(arguments: Sequence[str], system: SystemPackages) -> int:
    """Only the set-up: environment, locked libraries, system libraries."""
    set_up("run", system)
    say(f"ready: {SCRIPTS / 'emdx-desktop'}")
    return 0


COMMANDS = {
    "setup": command_setup,
    "demo": command_demo,
    "test": command_test,
    "bench": command_bench,
    "lint": command_lint,
    "shots": command_shots,
    "run": command_run,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        Exit code: the command's own, 2 for wrong usage, 3 when the machine lacks something.
    """
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Set up and run EMDX Desktop from a checkout. Arguments after the command are handed on to it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:6} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if sys.version_info[:2] < OLDEST_PYTHON:
        have, oldest = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST_PYTHON))
        say(f"Python {have} is too old - install Python {oldest} or later and start dev.py with it")
        return 3
    try:
        return COMMANDS[options.command](options.arguments, SystemPackages())
    except SetupError as fault:
        say(str(fault))
        return 3
    except OSError as fault:
        say(f"The set-up could not go on: {fault}")
        return 3
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
