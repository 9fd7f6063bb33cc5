"""Static files as the running site serves them."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from django.conf import settings

from tests.livesite import LiveSite


def test_a_file_comes_whole_packed_and_by_its_head(site: LiveSite) -> None:
    with httpx.Client(base_url=site.url) as client:
        found = re.search(r'"(/static/[^"]+\.css)"', client.get("/login").text)
        assert found
        plain = client.get(found[1], headers={"accept-encoding": "identity"})
        packed = client.get(found[1], headers={"accept-encoding": "gzip"})
        head = client.head(found[1], headers={"accept-encoding": "identity"})
    assert plain.status_code == packed.status_code == head.status_code == 200
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert len(plain.content) == int(plain.headers["content-length"]) > 0
    assert (head.content, head.headers["content-length"]) == (b"", plain.headers["content-length"])
    assert "immutable" in plain.headers["cache-control"]
    log = Path(settings.STATE_DIR) / "logs" / "web.log"
    assert "synchronous iterators" not in log.read_text(encoding="utf-8")
