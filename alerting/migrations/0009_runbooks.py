from __future__ import annotations

from django.db import migrations, models

# Nobody had anything to leave empty there before. Also of rules that a person has changed since: they
# are brought up to date no more.
_RUNBOOKS = """
UPDATE alerting_alertrule SET runbook_url = '/runbooks/' || name
WHERE origin = 'shipped' AND runbook_url = ''
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerting", "0008_alter_delivery_purpose"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alertrule",
            name="runbook_url",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.RunSQL(_RUNBOOKS, migrations.RunSQL.noop),
    ]
