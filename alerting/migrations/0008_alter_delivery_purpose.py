from __future__ import annotations

from django.db import migrations, models

# Alerts tell of channels that fail; what was told of them before stays, and what waits still goes.
_NOTICES = "UPDATE alerting_delivery SET purpose = 'alerts' WHERE purpose = 'notice'"


class Migration(migrations.Migration):
    dependencies = [
        ("alerting", "0007_inhibition_version"),
    ]

    operations = [
        migrations.RunSQL(_NOTICES, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="delivery",
            name="purpose",
            field=models.CharField(
                choices=[("alerts", "Alerts"), ("test", "A test"), ("report", "A report")],
                max_length=6,
            ),
        ),
    ]
