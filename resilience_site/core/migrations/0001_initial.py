from __future__ import annotations

from django.db import migrations, models

JOURNAL = """
CREATE SEQUENCE core_journalentry_id_seq AS bigint;
CREATE TABLE core_journalentry (
    id bigint NOT NULL DEFAULT nextval('core_journalentry_id_seq'),
    at timestamptz NOT NULL,
    topic text NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    service text NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE core_journalentry_id_seq OWNED BY core_journalentry.id;
"""

AUDIT_APPEND_ONLY = """
CREATE FUNCTION core_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER core_auditentry_append_only BEFORE UPDATE OR DELETE ON core_auditentry
    FOR EACH ROW EXECUTE FUNCTION core_auditentry_refuse();
"""

AUDIT_OPEN = """
DROP TRIGGER core_auditentry_append_only ON core_auditentry;
DROP FUNCTION core_auditentry_refuse();
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("prefix", models.CharField(editable=False, max_length=16)),
                ("hash", models.BinaryField(editable=False, max_length=32, unique=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("ingest", "Ingest: post telemetry, poll control"),
                            ("read", "Read: every list and detail"),
                            ("operate", "Operate: read, and act on breakers, patterns, healing"),
                            ("admin", "Admin: operate, and manage keys"),
                        ],
                        max_length=8,
                    ),
                ),
                ("created_by", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor", models.TextField()),
                (
                    "actor_kind",
                    models.CharField(
                        choices=[("user", "User"), ("key", "API key"), ("system", "System")],
                        max_length=8,
                    ),
                ),
                ("action", models.CharField(max_length=100)),
                ("object_type", models.CharField(max_length=100)),
                ("object_id", models.TextField()),
                ("reason", models.TextField(blank=True)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
                ("remote_address", models.GenericIPAddressField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ["-at", "-id"],
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="core_audit_newest"),
                    models.Index(
                        fields=["object_type", "object_id", "-at"], name="core_audit_object"
                    ),
                ],
            },
        ),
        migrations.RunSQL(AUDIT_APPEND_ONLY, AUDIT_OPEN),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("topic", models.TextField()),
                ("kind", models.TextField()),
                ("key", models.TextField()),
                ("state", models.TextField()),
                ("service", models.TextField()),
                ("payload", models.JSONField()),
            ],
            options={
                "db_table": "core_journalentry",
                "managed": False,
                "ordering": ["-id"],
                "verbose_name_plural": "journal entries",
            },
        ),
        migrations.RunSQL(JOURNAL, "DROP TABLE core_journalentry;"),
    ]
