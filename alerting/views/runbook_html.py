"""From the Markdown of a runbook to panels of the site's look; markup in it is shown as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token


@dataclass(frozen=True)
class Section:
    """What stands under a heading; what stands before the first has no title."""

    title: str
    html: SafeString

    @property
    def id(self) -> str:
        return slugify(self.title)


def sections_of(text: str) -> list[Section]:
    """The parts of a runbook, cut at its headings of the second level."""
    tokens = _MARKDOWN.parse(text)
    starts = [
        n for n, each in enumerate(tokens) if each.type == "heading_open" and each.tag == "h2"
    ]
    found = [Section("", _html(tokens[: starts[0] if starts else len(tokens)], ""))]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        # The heading opens, says its text, and closes.
        title = tokens[start + 1].content
        found.append(Section(title, _html(tokens[start + 3 : end], title)))
    return found


class _Renderer(RendererHTML):
    """Code to copy as everywhere on the site; links to other runbooks as paths of the site."""

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        # Each region that is scrolled by keyboard has a name of its own.
        env["commands"] = env.get("commands", 0) + 1
        label = f"{env['section']}, commands {env['commands']}".removeprefix(", ")
        context = {"content": tokens[idx].content.rstrip("\n"), "label": label}
        return render_to_string("components/code.html", context)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        link = str(token.attrGet("href") or "")
        if link.endswith(".md") and "/" not in link:
            token.attrSet("href", _runbook(link.removesuffix(".md")))
        elif not link.startswith(("/", "#")):
            token.attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, idx, options, env)


def _runbook(name: str) -> str:
    return reverse("runbooks") if name == "README" else reverse("runbook", args=[name])


def _html(tokens: Sequence[Token], section: str) -> SafeString:
    env: dict[str, Any] = {"section": section}
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, env)
    return mark_safe(html)  # noqa: S308 - raw HTML is off, and links are checked by the library


_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
