from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("health", "0005_sums")]

    operations = [
        migrations.AddField(
            model_name="dependency",
            name="managed_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]
