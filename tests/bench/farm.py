"""`emdx-desktop simulate --farm PLAN` without the rest of the command line."""

from __future__ import annotations

import argparse

from emdx_desktop.commands import simulate

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    raise SystemExit(simulate.run(parser.parse_args()))
