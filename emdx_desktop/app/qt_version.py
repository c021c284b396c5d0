"""Start-up gate: the Qt release that aborts on older Pythons is refused with a sentence, not a core dump."""

from __future__ import annotations

import sys

from emdx_desktop.domain.errors import EnvironmentFault

UNSAFE_PYSIDE = (6, 12, 0)
FIRST_SAFE_PYTHON = (3, 12)  # None is immortal from here on, so lost references to it do no harm


def refuse_unsafe_qt(pyside_version: str, python_version: tuple[int, int] = sys.version_info[:2]) -> None:
    """Refuse PySide6 6.12.0 on Python before 3.12.

    It loses one reference to None per call that returns None and ends the interpreter after about
    5,000 of them (measured; docs/adr/0002).

    Args:
        pyside_version: `PySide6.__version__`; whoever asks imports Qt, this file does not.
        python_version: Major and minor.

    Raises:
        EnvironmentFault: The combination aborts.
    """
    numbers = tuple(int(part) for part in pyside_version.split(".")[:3] if part.isdecimal())
    if numbers == UNSAFE_PYSIDE and python_version < FIRST_SAFE_PYTHON:
        python = ".".join(map(str, python_version))
        raise EnvironmentFault(
            f"PySide6 {pyside_version} aborts on Python {python} after some thousand calls - the window is not "
            "opened - install PySide6-Essentials 6.11.3, or use Python 3.12 or later"
        )
