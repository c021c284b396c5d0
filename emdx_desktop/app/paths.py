"""Where the program's own files are, and where a site's data lives by default."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import platformdirs

import emdx_desktop
from emdx_desktop.domain.errors import EnvironmentFault


@cache
def resource_folder() -> Path:
    """The folder of device profiles, icons, fonts and themes.

    In a wheel and in the frozen program it lies inside the package; in a source checkout it lies
    beside it. There is no other place and no setting.

    Raises:
        EnvironmentFault: The installation is incomplete.
    """
    package = Path(emdx_desktop.__file__).resolve().parent
    for folder in (package / "resources", package.parent / "resources"):
        if (folder / "icons").is_dir():
            return folder
    raise EnvironmentFault(
        f"The program's resources are missing beside {package} - no device profile can be read - "
        "install the program again"
    )


def default_data_folder() -> Path:
    """The data folder of a site when `--data` is not given. It is not created here.

    Linux: ~/.local/share/emdx-desktop (or under XDG_DATA_HOME); Windows: %LOCALAPPDATA%\\emdx-desktop.
    """
    return platformdirs.user_data_path("emdx-desktop", appauthor=False)
