from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("health", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="service",
            name="public_name",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What the public status page calls it; without one it is not named there.",
                max_length=100,
            ),
        ),
    ]
