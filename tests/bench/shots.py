"""`python3 dev.py shots`: a picture of every page, light and dark, of the demo running off screen, into shots/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from emdx_desktop.ui.main_window import PAGES

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
SHOTS = ROOT / "shots"
SIZES = ("1280x800", "2560x1440")
PROGRAM = (sys.executable, "-m", "emdx_desktop")


def main() -> int:
    """Run the demo, take the pictures, end the demo.

    Returns:
        0, or the exit code of what failed.
    """
    SHOTS.mkdir(exist_ok=True)
    hidden = {key: text for key, text in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [*PROGRAM, "--demo", "--for", "3600", "--data", str(DEMO)]
    demo = subprocess.Popen(command, env=hidden, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            print(line, end="", flush=True)
            if re.search(r" (\d+)/\1 devices", line):
                break  # all of them answer
        for page in PAGES:
            for theme in ("light", "dark"):
                for size in SIZES:
                    file = SHOTS / f"{page}-{theme}-{size}.png"
                    arguments = ["screenshot", page, "-o", str(file), "--theme", theme, "--size", size]
                    done = subprocess.run([*PROGRAM, *arguments, "--data", str(DEMO)], env=hidden)
                    if done.returncode != 0:
                        return done.returncode
                    print(file.relative_to(ROOT), flush=True)
    finally:
        demo.terminate()
        demo.communicate(timeout=60)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
