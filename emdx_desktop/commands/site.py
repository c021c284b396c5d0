"""`emdx-desktop site import | export`: the installation as one TOML file."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.app.worker import COMMAND_NOTICE_KEY
from emdx_desktop.attach.attached_supervision import AttachedSupervision
from emdx_desktop.attach.door import find_door
from emdx_desktop.commands.atomic_file import STANDARD_OUTPUT, open_output
from emdx_desktop.commands.site_folder import SiteFolder, open_site_folder, require_folder
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, Problem
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.ports import ReplaceInstallation, SupervisionPort
from emdx_desktop.domain.readings import Notice, SiteSnapshot
from emdx_desktop.domain.site_difference import difference
from emdx_desktop.domain.site_file import MAX_SITE_FILE_CHARACTERS, parse_site_file
from emdx_desktop.domain.site_file_writing import write_site_file
from emdx_desktop.storage.history_writer import open_writer

TAKE_OVER_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="import | export")
    importing = actions.add_parser("import", help="read the installation from a site file")
    importing.add_argument("file", metavar="FILE", help="site file (TOML)")
    importing.add_argument("--yes", action="store_true", help="take over the changes without asking")
    exporting = actions.add_parser("export", help="write the installation to a site file")
    exporting.add_argument("file", metavar="FILE", help="site file to write, - for standard output")


def run(args: argparse.Namespace) -> int:
    """Import or export."""
    folder = open_site_folder(args.data)
    if args.action == "export":
        installation = folder.load_installation()
        with open_output(args.file) as file:
            file.write(write_site_file(installation))
        if args.json and args.file != STANDARD_OUTPUT:
            alive = sum(1 for device in installation.devices if not device.is_archived)
            answer = {
                "schema": "emdx/site-export/1",
                "file": args.file,
                "devices": alive,
                "revision": installation.revision,
            }
            print(json.dumps(answer, ensure_ascii=False))
        return 0
    return _import(folder, Path(args.file), is_agreed=args.yes, as_json=args.json)


def _import(folder: SiteFolder, file: Path, *, is_agreed: bool, as_json: bool) -> int:
    text = read_site_text(file)
    previous = folder.find_installation()
    parsed = parse_site_file(text, folder.catalogue, previous)
    changes = difference(previous, parsed.installation)
    if not as_json:
        for warning in parsed.warnings:
            print(f"Note: {warning}")
        for sentence in changes or ["Nothing changes."]:
            print(sentence)
    if changes and previous is not None and not is_agreed:
        _ask()
    revision = previous.revision if previous is not None else 0
    if changes:
        revision = take_over(folder, parsed.installation).revision
        if not as_json:
            print(f"Stored in {folder.path}.")
    if as_json:
        answer = {
            "schema": "emdx/site-import/1",
            "changes": changes,
            "warnings": [{"where": warning.where, "message": warning.message} for warning in parsed.warnings],
            "revision": revision,
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    return 0


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError([Problem("", "Nothing was changed; add --yes to take over these changes.")])
    if input("Take over these changes? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise ConfigurationError([Problem("", "Nothing was changed.")])


def read_site_text(file: Path) -> str:
    """The text of a site file.

    Raises:
        ConfigurationError: It is no text, or too large.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(4 * MAX_SITE_FILE_CHARACTERS + 1)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError([Problem(str(file), f"cannot be read ({error.strerror}).")]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            [Problem(str(file), f"is not a text in UTF-8 (byte {error.start}); save it as UTF-8.")]
        ) from error


def take_over(folder: SiteFolder, installation: Installation) -> Installation:
    """Store an installation: through the program that owns the folder if there is one, otherwise at once.

    Raises:
        EnvironmentFault: It could not be stored; nothing was changed.
    """
    require_folder(folder.path)
    if find_door(folder.path) is not None:
        try:
            attached = AttachedSupervision(folder.path)
        except EnvironmentFault:
            pass  # a door left behind by a crash; the folder's lock decides
        else:
            try:
                return hand_over(attached, installation, attached.owner)
            finally:
                attached.close()
    writer = open_writer(folder.path, SystemClock(), purpose="site import")
    try:
        return writer.replace_installation(installation)
    finally:
        writer.close()


def hand_over(port: SupervisionPort, installation: Installation, owner: str) -> Installation:
    """Have a running acquisition take an installation; returns it with its revision.

    Raises:
        EnvironmentFault: It was refused, or nobody answered.
    """
    latest = port.latest()
    old_refusals = set(_refusals(latest)) if latest is not None else set()
    has_answered = threading.Event()
    answers: list[SiteSnapshot] = []

    def listen(snapshot: SiteSnapshot) -> None:
        is_newer = snapshot.installation_revision > installation.revision
        if is_newer or any(refusal not in old_refusals for refusal in _refusals(snapshot)):
            answers.append(snapshot)
            has_answered.set()

    leave = port.subscribe(listen)
    try:
        port.send(ReplaceInstallation(installation))
        is_answered = has_answered.wait(TAKE_OVER_S)
    finally:
        leave()
    if not is_answered:
        raise EnvironmentFault(
            f"The program that owns the data folder ({owner}) did not answer - "
            "whether the installation was changed is not known - look at it and try again."
        )
    if answers[0].installation_revision <= installation.revision:
        raise EnvironmentFault(_refusals(answers[0])[-1].message)
    return replace(installation, revision=answers[0].installation_revision)


def _refusals(snapshot: SiteSnapshot) -> list[Notice]:
    return [notice for notice in snapshot.notices if notice.key == COMMAND_NOTICE_KEY]
