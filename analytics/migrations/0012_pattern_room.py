"""The patterns of errors for which there was no room are asked for with the state of ingest."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0011_loose_errors")]

    operations = [
        migrations.AddIndex(
            model_name="errorpattern",
            index=models.Index(
                condition=models.Q(("rule", "too many patterns to keep them apart")),
                fields=["-last_seen"],
                name="pattern_others",
            ),
        ),
    ]
