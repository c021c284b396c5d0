"""Command line and composition root."""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from emdx_desktop import __version__
from emdx_desktop.app.paths import default_data_folder
from emdx_desktop.commands import collect, demo, history, plan_bus, read, screenshot, simulate, site, window
from emdx_desktop.commands.site_folder import open_site_folder
from emdx_desktop.domain.errors import ConfigurationError, EmdxError

logger = logging.getLogger("emdx_desktop")

LOG_FILE_NAME = "emdx-desktop.log"
LOG_BYTES = 2_000_000
LOG_FILES = 5

EXIT_BUG, EXIT_INPUT, EXIT_ENVIRONMENT = 1, 2, 3
EXIT_INTERRUPTED = 130

COMMANDS = {
    "site": (site, "read or write the installation as one file"),
    "collect": (collect, "acquire and record without a window"),
    "read": (read, "ask once and print every value"),
    "plan-bus": (plan_bus, "predicted cycle of each line and what would make it faster"),
    "history": (history, "recorded values as csv"),
    "screenshot": (screenshot, "a picture of a page, also without a screen"),
    "simulate": (simulate, "the simulated building, or lines for measuring"),
}
_NEEDS_NO_FOLDER = ("simulate",)


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    shared = argparse.ArgumentParser(add_help=False)
    # suppressed defaults: an option before the command is not overwritten by the command's own
    shared.add_argument("--data", type=Path, metavar="DIR", default=argparse.SUPPRESS, help="data folder of the site")
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser = argparse.ArgumentParser(
        prog="emdx-desktop",
        description="Energy supervision for a building's PC. Without a command: the window.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"EMDX Desktop {__version__}")
    parser.add_argument("--demo", action="store_true", help="a simulated building, live")
    demo.add_arguments(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, help_text) in COMMANDS.items():
        module.add_arguments(subparsers.add_parser(name, help=help_text, parents=[shared]))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 a bug (logged), 2 wrong usage or bad input, 3 a fault of the environment.
    """
    parser = make_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as ended:  # argparse: 0 after --help, 2 after wrong usage, its sentence is printed
        return ended.code if isinstance(ended.code, int) else EXIT_INPUT
    args.json = getattr(args, "json", False)
    folder_default = demo.default_demo_folder() if args.demo else default_data_folder()
    args.data = getattr(args, "data", folder_default).expanduser().absolute()
    log_file = _start_log(args.data) if args.command not in _NEEDS_NO_FOLDER else None
    try:
        if args.command is not None:
            code: int = COMMANDS[args.command][0].run(args)
            return code
        return demo.run(args) if args.demo else window.run(open_site_folder(args.data))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return EXIT_INPUT
    except EmdxError as error:
        print(error, file=sys.stderr)
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # who read our output is gone; what Python would still flush at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # the last edge: a bug is logged whole and told in a sentence
        logger.exception("the command ended by a mistake of the program")
        where = f" The log {log_file} says where." if log_file else ""
        print(f"The program made a mistake and could not go on; nothing was damaged.{where}", file=sys.stderr)
        return EXIT_BUG


def _start_log(folder: Path) -> Path | None:
    """Log into the data folder if there is one already, warnings to standard error otherwise; count what escapes."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "is_of_main", False):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(logging.INFO)
    sys.excepthook = _log_escaped
    threading.excepthook = lambda escaped: _log_escaped(
        escaped.exc_type, escaped.exc_value or escaped.exc_type(), escaped.exc_traceback
    )
    path = folder / LOG_FILE_NAME
    if not folder.is_dir():
        return None
    try:
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True
        )
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.is_of_main = True  # type: ignore[attr-defined]  # found again when main is called twice, as in tests
    root.addHandler(handler)
    return path


def _log_escaped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught, in any thread (I8)."""
    logger.critical("a mistake of the program escaped", exc_info=(kind, error, trace))


if __name__ == "__main__":
    sys.exit(main())
