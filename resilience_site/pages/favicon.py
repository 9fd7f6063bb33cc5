from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_safe


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """The site's mark, for which browsers ask by themselves where no document names it: beside JSON
    and plain text."""
    return redirect(static("img/favicon.svg"))
