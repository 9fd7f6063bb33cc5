"""From a POST to the row's appearance in an open page."""

from __future__ import annotations

import json
import shutil
import statistics
import time
import urllib.request
from uuid import uuid4

from tests.bench.running import KEY, PASSWORD, Site
from tests.browser import PROGRAMS, launched

# The page itself says when: a driver that asks again and again would see it up to 0.8 s late.
_SEEN = """message => new Promise(resolve => {
  const look = () => document.body.textContent.includes(message) && resolve(true);
  if (!look()) new MutationObserver(look).observe(document.body, { childList: true, subtree: true,
    characterData: true });
})"""


def time_to_row(site: Site, posts: int = 40) -> dict[str, float] | None:
    """Milliseconds from sending an error to its row in the open Errors page; None without a
    browser."""
    if not any(map(shutil.which, PROGRAMS)):
        return None
    base = f"http://127.0.0.1:{site.port}"
    with launched() as browser:
        page = browser.new_page()
        page.goto(f"{base}/login")
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(f"{base}/")
        page.goto(f"{base}/errors?since=5m")
        page.get_by_text("Live", exact=True).first.wait_for()
        found = []
        for _ in range(posts):
            message = f"bench row {uuid4().hex}"
            began = time.perf_counter()
            _post(base, message)
            page.evaluate(_SEEN, message)
            found.append((time.perf_counter() - began) * 1e3)
    cuts = statistics.quantiles(found, n=20)
    return {"p50": cuts[9], "p95": cuts[18], "max": max(found)}


def _post(base: str, message: str) -> None:
    body = json.dumps({"service": "bench-page", "type": "BenchError", "message": message}).encode()
    request = urllib.request.Request(
        f"{base}/api/v1/errors",
        body,
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
