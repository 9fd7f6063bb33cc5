"""Channels: the list, one of them, and the forms in which people make, change and test them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerting.channels import Kind, kind_named, kinds_known
from alerting.choices import DeliveryState
from alerting.models import Channel
from alerting.selectors.channels import (
    Figures,
    channel_figures,
    channel_find,
    channel_list,
    channel_state,
    delivery_list,
)
from alerting.selectors.told_alone import Alone, channel_alone
from alerting.services import channels
from alerting.views.channel_form import ChannelForm
from alerting.views.channel_words import KIND_WORDS, words_of
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    form_answer,
    is_partial,
    may_operate,
    reason_given,
    refused_by,
    tried,
)

METHODS: Final = ["GET", "HEAD", "POST"]
_RECENT: Final = 10


@require_GET
@require_role(Role.VIEWER)
def channel_rows(request: HttpRequest) -> HttpResponse:
    """All channels with their state and their last deliveries."""
    cursor = journal.latest_cursor()
    figures = channel_figures()
    rows = [(each, channel_state(each), figures.get(each.pk, Figures())) for each in channel_list()]
    context = {
        "live_cursor": cursor,
        "tab": "channels",
        "rows": rows,
        "delivering": config.proactive_alerting_enabled,
        "may_operate": may_operate(request),
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/channels/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """One channel: how it stands, where it sends, what it sent last."""
    cursor = journal.latest_cursor()
    found = _or_404(channel_id)
    context = {
        "live_cursor": cursor,
        "topics": f"deliveries:{channel_id}",
        "channel": found,
        "state_word": channel_state(found),
        "figures": channel_figures().get(found.pk, Figures()),
        "target": _target(found),
        "deliveries": delivery_list(channel_id=found.pk)[:_RECENT],
        "can_rotate": found.kind == "webhook",
        "may_operate": may_operate(request),
    }
    part = "_detail" if is_partial(request) else "detail"
    return render(request, f"alerting/channels/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("channel.create", "channel")
def channel_new(request: HttpRequest) -> HttpResponse:
    """The kinds there are, then the form of the chosen one; a POST makes the channel."""
    kind = kind_named(request.POST.get("kind") or request.GET.get("kind", ""))
    if kind is None or kind.missing():
        kinds = [
            (name, each.label, KIND_WORDS[name], each.missing())
            for name, each in kinds_known().items()
        ]
        context = {"live_cursor": None, "kinds": kinds}
        return render(request, "alerting/channels/kinds.html", context)
    form = ChannelForm(request, kind)

    def make() -> channels.Made:
        given = {"kind": kind.name, **form.given()}
        return channels.channel_create(given=given, actor=actor_of(request), now=datetime.now(UTC))

    done, made, problem = tried(request, make)
    if done and made is not None:
        _tell_secret(request, made, f"{made.channel.name} is made. {_proof_words(made)}")
        return redirect("alert-channel", made.channel.pk)
    return _form(request, form, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("channel.update", "channel")
def channel_edit(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """The form of a channel; a POST changes it."""
    found = _or_404(channel_id)
    form = ChannelForm(request, _kind(found), found)
    done, saved, problem = tried(
        request,
        lambda: channels.channel_update(
            channel_id=channel_id,
            changes=form.given(),
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and saved is not None:
        _tell_secret(request, saved, f"{found.name} is changed. {saved.proof.text}")
        if not saved.channel.enabled and (alone := channel_alone(channel_id)).routes:
            messages.warning(request, f"It is switched off. {alone.text}")
        return redirect("alert-channel", channel_id)
    return _form(request, form, problem)


@never_cache
@require_POST
@acting_only("channel.test", "channel")
def channel_test(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Send a test and say what came of it."""
    found = _or_404(channel_id)
    home = back_to(request, reverse("alert-channel", args=[channel_id]))
    try:
        delivery = channels.channel_test(
            channel_id=channel_id, actor=actor_of(request), now=datetime.now(UTC)
        )
    except Problem as problem:
        messages.error(request, f"{found.name} was not tested: {problem.detail}")
        return refused_by(redirect(home), problem)
    if delivery.state == DeliveryState.DELIVERED:
        messages.info(request, f"The test by {found.name} was taken. Look whether it is there.")
    else:
        messages.error(request, f"The test by {found.name} failed: {delivery.last_error}.")
    return redirect(home)


@never_cache
@require_http_methods(METHODS)
@acting_only("channel.pause", "channel")
def channel_pause(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """The question whether to pause a channel; a POST does."""
    return _ask(
        request, channel_id, "pause", "Pause", "is paused: nothing is sent by it.",
        lambda: channels.channel_pause(
            channel_id=channel_id, reason=reason_given(request), if_match=_version(request),
            actor=actor_of(request), now=datetime.now(UTC),
        ),
    )  # fmt: skip


@never_cache
@require_POST
@acting_only("channel.resume", "channel")
def channel_resume(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Send by a channel again."""
    found = _or_404(channel_id)
    home = back_to(request, reverse("alert-channel", args=[channel_id]))
    try:
        channels.channel_resume(
            channel_id=channel_id, actor=actor_of(request), now=datetime.now(UTC)
        )
    except Problem as problem:
        messages.error(request, problem.detail)
        return refused_by(redirect(home), problem)
    messages.info(request, f"{found.name} is used again; what waited for it goes now.")
    return redirect(home)


@never_cache
@require_http_methods(METHODS)
@acting_only("channel.rotate", "channel")
def channel_rotate(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """The question whether to change the secret of a webhook; a POST does, and shows the new one
    this once."""

    def rotate() -> None:
        made = channels.channel_rotate(
            channel_id=channel_id, actor=actor_of(request), now=datetime.now(UTC)
        )
        _tell_secret(request, made, "")

    return _ask(
        request, channel_id, "rotate", "Change the secret of",
        "signs by both its secrets for 24 hours.", rotate,
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("channel.delete", "channel")
def channel_remove(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """The question whether to delete a channel; a POST does."""
    return _ask(
        request, channel_id, "delete", "Delete", "is deleted.",
        lambda: channels.channel_delete(
            channel_id=channel_id, if_match=_version(request), actor=actor_of(request),
            now=datetime.now(UTC),
        ),
        home=reverse("alert-channels"),
    )  # fmt: skip


def _proof_words(made: channels.Made) -> str:
    return made.proof.text or "It was not tried. Press Test to see it arrive."


def _tell_secret(request: HttpRequest, made: channels.Made, text: str) -> None:
    said = f" Its secret, shown this once: {made.secret}" if made.secret else ""
    tell = messages.warning if made.proof.proven is False else messages.info
    tell(request, f"{text.strip()}{said}")


def _ask(
    request: HttpRequest,
    channel_id: UUID,
    act: str,
    words: str,
    done_words: str,
    do: Callable[[], object],
    home: str = "",
) -> HttpResponse:
    found = _or_404(channel_id)
    page = reverse("alert-channel", args=[channel_id])
    done, _, problem = tried(request, do)
    if done:
        messages.info(request, f"{found.name} {done_words}")
        return redirect(home or back_to(request, page))
    alone = channel_alone(channel_id)
    context: dict[str, Any] = {
        "form": f"alerting/channels/_{act}_form.html",
        "title": f"{words} {found.name}",
        "channel": found,
        "routes": list(found.routes.values_list("name", flat=True)),
        "alone": alone.text,
        "alone_routes": alone.routes,
        "reason": reason_given(request),
        "next": back_to(request, page),
    }
    return form_answer(request, context, problem)


def _form(request: HttpRequest, form: ChannelForm, problem: Problem | None) -> HttpResponse:
    found = form.channel
    if problem is not None:
        form.refuse(problem)
    home = reverse("alert-channel", args=[found.pk]) if found else reverse("alert-channels")
    context: dict[str, Any] = {
        "kind": form.kind,
        "kind_words": KIND_WORDS[form.kind.name],
        "channel": found,
        "title": f"Edit {found.name}" if found else f"New channel: {form.kind.label}",
        "next": back_to(request, home),
        "version": _or_404(found.pk).version if found else "",
        "alone": (channel_alone(found.pk) if found else Alone()).text,
        **form.shown(),
    }
    return form_answer(request, context, problem, "alerting/channels/form.html")


def _kind(channel: Channel) -> Kind[Any]:
    kind = kind_named(channel.kind)
    if kind is None:
        raise Http404("There is no such kind of channel.")
    return kind


def _target(channel: Channel) -> list[tuple[str, str]]:
    return [
        (words_of(channel.kind, name).label, _text(value)) for name, value in channel.target.items()
    ]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or "none"
    return "none" if value in (None, "") else str(value)


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _or_404(channel_id: UUID) -> Channel:
    found = channel_find(channel_id)
    if found is None:
        raise Http404("There is no such channel.")
    return found
