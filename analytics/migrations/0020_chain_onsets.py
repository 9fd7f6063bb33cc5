"""Chains as they were first seen."""

from __future__ import annotations

from django.db import migrations, models

# Of those that are there already, what they are now is all that is known.
_NOTE = """
INSERT INTO analytics_chainonset (known_from, service, minute, chains)
SELECT date_trunc('minute', started_at) + interval '1 minute', root_cause_service,
    date_trunc('minute', started_at), count(*)
FROM analytics_correlationchain GROUP BY 1, 2, 3
"""


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0019_former_slos"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChainOnset",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("known_from", models.DateTimeField()),
                ("service", models.TextField()),
                ("minute", models.DateTimeField(db_index=True)),
                ("chains", models.IntegerField()),
            ],
        ),
        migrations.RunSQL(sql=_NOTE, reverse_sql=migrations.RunSQL.noop),
    ]
