from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0014_slos")]

    operations = [
        migrations.CreateModel(
            name="ServiceSilence",
            fields=[
                ("service", models.TextField(primary_key=True, serialize=False)),
                ("last_heard", models.DateTimeField()),
                ("told_at", models.DateTimeField()),
            ],
            options={"ordering": ["service"]},
        ),
    ]
