from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerting", "0006_channel_not_before"),
    ]

    operations = [
        migrations.AddField(
            model_name="inhibition",
            name="version",
            field=models.PositiveIntegerField(default=1),
        ),
    ]
