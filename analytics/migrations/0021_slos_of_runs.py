"""What objectives are measured by, where checks count runs as well as time."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0020_chain_onsets"),
    ]

    operations = [
        migrations.AlterField(
            model_name="slo",
            name="min_bad",
            field=models.PositiveIntegerField(
                help_text="Bad calls, seconds or runs of checks, below which no burn rate calls anybody."
            ),
        ),
        migrations.AlterField(
            model_name="slo",
            name="source",
            field=models.CharField(
                choices=[("traces", "calls seen in traces"), ("checks", "its critical checks")],
                default="traces",
                max_length=6,
            ),
        ),
        migrations.AlterField(
            model_name="slo",
            name="threshold_ms",
            field=models.FloatField(
                blank=True,
                help_text="A call, or a run of a check, that took longer is too slow; of latency alone.",
                null=True,
            ),
        ),
    ]
