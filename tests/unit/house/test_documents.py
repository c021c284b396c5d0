"""What the documents promise is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_decisions_are_numbered_without_gaps_or_doubles() -> None:
    numbers = sorted(int(file.name[:4]) for file in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_decisions_have_context_decision_and_consequences() -> None:
    for file in (ROOT / "docs" / "adr").glob("[0-9]*.md"):
        text = file.read_text(encoding="utf-8")
        for heading in ("\n## Context\n", "\n## Decision\n", "\n## Consequences\n"):
            assert heading in text, f"{file.name} lacks {heading.strip()}"


def commands_named(document: str, before: str) -> set[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return set(re.findall(f"^{before} `emdx-desktop ([a-z][a-z-]*)", text, re.MULTILINE))


def test_documents_name_every_command_and_no_other() -> None:
    # the command line is read as text: importing it would bring half of the program into a test of documents
    source = (ROOT / "emdx_desktop" / "__main__.py").read_text(encoding="utf-8")
    commands = set(re.findall(r'^    "([a-z-]+)": \(', source, re.MULTILINE))
    assert "read" in commands
    assert commands_named("docs/command-line.md", "##") == commands
    assert commands_named("README.md", r"\|") <= commands
