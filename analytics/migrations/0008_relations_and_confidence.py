"""How sure a chain is and which errors it holds; what the figures of a relation were counted over."""

from __future__ import annotations

from django.db import migrations, models

# The newest chain of a set of errors that only time and dependency join is found by its members.
CHAINS = """
ALTER TABLE analytics_correlationchain
    ADD COLUMN confidence double precision NOT NULL DEFAULT 1,
    ADD COLUMN error_ids uuid[] NOT NULL DEFAULT '{}';
CREATE INDEX analytics_correlationchain_errors ON analytics_correlationchain USING gin (error_ids)
    WHERE kind = 'edge';
"""
UNDO = """
DROP INDEX analytics_correlationchain_errors;
ALTER TABLE analytics_correlationchain DROP COLUMN confidence, DROP COLUMN error_ids;
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0007_hours")]

    operations = [
        migrations.RunSQL(sql=CHAINS, reverse_sql=UNDO),
        migrations.AddField(
            model_name="patternrelation",
            name="after_spells",
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="patternrelation",
            name="before_spells",
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="patternrelation",
            name="directed_by",
            field=models.CharField(
                choices=[
                    ("lag", "the time between them"),
                    ("dependency", "one service calls the other"),
                ],
                db_default="lag",
                default="lag",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="patternrelation",
            name="expected",
            field=models.FloatField(db_default=0.0, help_text="Share by chance, 0..1."),
        ),
        migrations.AddField(
            model_name="patternrelation",
            name="within_seconds",
            field=models.IntegerField(db_default=0),
        ),
    ]
