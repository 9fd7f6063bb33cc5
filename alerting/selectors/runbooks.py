"""Runbooks: Markdown files of the checkout, one for each shipped rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.domain.runbooks import runbook_named, runbook_path
from resilience_site.config.table import ROOT
from resilience_site.core.links import absolute

FOLDER: Final = ROOT / "docs" / "runbooks"
INDEX: Final = "README"


@dataclass(frozen=True)
class Runbook:
    """A file as it stands: `title` is its first line, `text` the rest."""

    name: str
    title: str
    text: str


def runbook_exists(name: str) -> bool:
    return bool(runbook_named(runbook_path(name))) and (FOLDER / f"{name}.md").is_file()


def runbook_find(name: str) -> Runbook | None:
    """The runbook of a rule, if there is one."""
    return _read(name) if runbook_exists(name) else None


def runbook_index() -> Runbook:
    """What all of them have in common, with a link to each."""
    return _read(INDEX)


def runbook_whole(link: str) -> str:
    """A link as others can follow it: that to a runbook of this site as a whole URL."""
    return absolute(link) if runbook_named(link) else link


def _read(name: str) -> Runbook:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    title, _, rest = text.partition("\n")
    return Runbook(name, title.removeprefix("# "), rest)
