"""Two workers make the weekly report at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from alerting.models import Delivery, ResilienceReport
from alerting.services.reports import report_weekly_make
from tests.alerting.reports import scene
from tests.alerting.reports.scene import NOW, mail_channel
from tests.emptying import empty_partitions


@pytest.mark.usefixtures("transactional_db")
def test_of_two_workers_one_makes_and_mails_the_report() -> None:
    empty_partitions()
    scene.week()
    mail_channel("team")
    both = Barrier(2)

    def work() -> bool:
        try:
            both.wait(timeout=60)
            return report_weekly_make(now=NOW) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as workers:
        made = [each.result() for each in [workers.submit(work) for _ in range(2)]]
    assert sorted(made) == [False, True]
    assert ResilienceReport.objects.count() == Delivery.objects.count() == 1
