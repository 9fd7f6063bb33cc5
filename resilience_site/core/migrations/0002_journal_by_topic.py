"""An index of the journal by topic and kind, for rules that read days of it.

Built partition by partition without holding up whoever writes; partitions made later get it by
themselves.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

NAME = "core_journal_by_kind"
COLUMNS = "(topic, kind, id)"


def build(apps: Any, schema_editor: Any) -> None:
    """Also after a run that was cut off: what is there already is kept, what is invalid made anew."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {NAME} ON ONLY core_journalentry {COLUMNS}")
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'core_journalentry'::regclass"
        )
        for (partition,) in cursor.fetchall():
            index = f"{partition}_by_kind"
            cursor.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [index]
            )
            found = cursor.fetchone()
            if found is not None and not found[0]:
                cursor.execute(f"DROP INDEX CONCURRENTLY {index}")
            if found is None or not found[0]:
                cursor.execute(f"CREATE INDEX CONCURRENTLY {index} ON {partition} {COLUMNS}")
            cursor.execute(f"ALTER INDEX {NAME} ATTACH PARTITION {index}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.RunPython(
            build,
            lambda apps, schema_editor: schema_editor.execute(f"DROP INDEX IF EXISTS {NAME}"),
        ),
    ]
