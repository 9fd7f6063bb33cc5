"""Instances, breakers, what was told of them and what people decide about them."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="BulkheadRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("service", models.TextField()),
                ("minute", models.DateTimeField()),
                ("name", models.TextField()),
                ("tier", models.TextField()),
                ("reason", models.TextField()),
                ("rejected", models.BigIntegerField()),
            ],
            options={
                "db_table": "breakers_bulkheadrollup",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="CallMinute",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("service", models.TextField()),
                ("name", models.TextField()),
                ("calls", models.BigIntegerField()),
                ("failures", models.BigIntegerField()),
                ("ignored", models.BigIntegerField()),
                ("slow", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
                ("seconds", models.FloatField()),
                ("minute", models.DateTimeField()),
            ],
            options={
                "db_table": "breakers_callminute",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="CallRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("service", models.TextField()),
                ("name", models.TextField()),
                ("calls", models.BigIntegerField()),
                ("failures", models.BigIntegerField()),
                ("ignored", models.BigIntegerField()),
                ("slow", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
                ("seconds", models.FloatField()),
                ("at", models.DateTimeField()),
                ("instance", models.TextField()),
            ],
            options={
                "db_table": "breakers_callrollup",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="FallbackRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("service", models.TextField()),
                ("minute", models.DateTimeField()),
                ("dependency", models.TextField()),
                ("source", models.TextField()),
                ("served", models.BigIntegerField()),
                ("aged", models.BigIntegerField()),
                ("age_sum", models.FloatField()),
                ("age_max", models.FloatField(null=True)),
            ],
            options={
                "db_table": "breakers_fallbackrollup",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="OutcomeBatch",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("service", models.TextField()),
                ("name", models.TextField()),
                ("instance", models.TextField()),
                ("data", models.BinaryField()),
            ],
            options={
                "db_table": "breakers_outcomebatch",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RetryRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("service", models.TextField()),
                ("minute", models.DateTimeField()),
                ("dependency", models.TextField()),
                ("classification", models.TextField()),
                ("outcome", models.TextField()),
                ("attempts", models.BigIntegerField()),
                ("delay_ms", models.FloatField()),
            ],
            options={
                "db_table": "breakers_retryrollup",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ControlDocument",
            fields=[
                ("service", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("version", models.BigIntegerField(default=0)),
                ("document", models.JSONField(default=dict)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["service"],
            },
        ),
        migrations.CreateModel(
            name="Breaker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                (
                    "key",
                    models.CharField(
                        help_text="Of service and name; what pages listen to.", max_length=16
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("closed", "Closed"),
                            ("open", "Open"),
                            ("half_open", "Half-open"),
                            ("forced_open", "Forced open"),
                            ("forced_closed", "Forced closed"),
                            ("disabled", "Disabled"),
                            ("metrics_only", "Metrics only"),
                        ],
                        max_length=16,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("reason", models.TextField(blank=True, default="")),
                ("failure_rate", models.FloatField(null=True)),
                ("window_calls", models.IntegerField(null=True)),
                ("next_probe_at", models.DateTimeField(null=True)),
                ("policy", models.JSONField(null=True)),
                ("policy_at", models.DateTimeField(null=True)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
            ],
            options={
                "ordering": ["service", "name", "instance"],
                "indexes": [
                    models.Index(fields=["key"], name="breaker_key"),
                    models.Index(fields=["service", "instance"], name="breaker_of_instance"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("service", "name", "instance"), name="breaker_instance"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakerTransition",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                (
                    "from_state",
                    models.CharField(
                        choices=[
                            ("closed", "Closed"),
                            ("open", "Open"),
                            ("half_open", "Half-open"),
                            ("forced_open", "Forced open"),
                            ("forced_closed", "Forced closed"),
                            ("disabled", "Disabled"),
                            ("metrics_only", "Metrics only"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "to_state",
                    models.CharField(
                        choices=[
                            ("closed", "Closed"),
                            ("open", "Open"),
                            ("half_open", "Half-open"),
                            ("forced_open", "Forced open"),
                            ("forced_closed", "Forced closed"),
                            ("disabled", "Disabled"),
                            ("metrics_only", "Metrics only"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("failure_rate", models.FloatField(null=True)),
                ("calls", models.IntegerField(null=True)),
                ("trace_id", models.CharField(blank=True, max_length=32)),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-at", "-id"],
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="transition_newest"),
                    models.Index(fields=["service", "name", "-at"], name="transition_of_breaker"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Bulkhead",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                ("active", models.IntegerField(null=True)),
                ("queued", models.IntegerField(null=True)),
                ("limit", models.IntegerField(null=True)),
                ("last_seen", models.DateTimeField()),
            ],
            options={
                "ordering": ["service", "name", "instance"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("service", "name", "instance"), name="bulkhead_instance"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkheadBreach",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                ("kind", models.CharField(max_length=100)),
                ("mitigation", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "ordering": ["-at", "-id"],
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="breach_newest"),
                    models.Index(fields=["service", "name", "-at"], name="breach_of_bulkhead"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Command",
            fields=[
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=200)),
                (
                    "instance",
                    models.CharField(
                        blank=True, help_text="Empty: every instance.", max_length=200
                    ),
                ),
                ("action", models.CharField(max_length=100)),
                ("parameters", models.JSONField(default=dict)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)),
                        fields=["expires_at"],
                        name="command_due",
                    ),
                    models.Index(fields=["service", "-created_at"], name="command_of_service"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DegradedMode",
            fields=[
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("service", models.CharField(max_length=200, primary_key=True, serialize=False)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("normal", "Normal"),
                            ("reduced", "Reduced: extras are switched off"),
                            ("essential", "Essential: only the most important functions"),
                            ("offline", "Offline: nothing is served"),
                        ],
                        max_length=10,
                    ),
                ),
                ("notice", models.TextField(blank=True)),
                ("version", models.BigIntegerField(default=1)),
            ],
            options={
                "ordering": ["service"],
                "indexes": [models.Index(fields=["expires_at"], name="degraded_due")],
            },
        ),
        migrations.CreateModel(
            name="DomainMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("domain", models.CharField(max_length=200)),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("reported", "Reported by the service"),
                            ("set", "Set by a person"),
                        ],
                        max_length=8,
                    ),
                ),
            ],
            options={
                "ordering": ["domain", "service", "name"],
                "indexes": [models.Index(fields=["service", "name"], name="domain_of_breaker")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("domain", "service", "name"), name="domain_member"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=200)),
                ("instance", models.CharField(max_length=200)),
                ("version", models.CharField(blank=True, default="", max_length=100)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField(db_index=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("restarts", models.IntegerField(default=0)),
                ("restarted_at", models.DateTimeField(null=True)),
                ("polled_at", models.DateTimeField(null=True)),
                ("applied_version", models.BigIntegerField(null=True)),
                ("applied_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["service", "instance"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("service", "instance"), name="instance_of_service"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=200)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("normal", "Normal"),
                            ("reduced", "Reduced: extras are switched off"),
                            ("essential", "Essential: only the most important functions"),
                            ("offline", "Offline: nothing is served"),
                        ],
                        max_length=10,
                    ),
                ),
                ("text", models.TextField()),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-started_at", "-id"],
                "indexes": [models.Index(fields=["-started_at", "-id"], name="notice_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("service",),
                        name="notice_in_force",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Override",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("instance", "One instance"),
                            ("service", "All instances of a service"),
                            ("domain", "All breakers of a failure domain"),
                        ],
                        max_length=8,
                    ),
                ),
                ("service", models.CharField(blank=True, max_length=200)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                ("domain", models.CharField(blank=True, max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("forced_open", "Forced open: reject every call"),
                            ("forced_closed", "Forced closed: let every call pass, and count"),
                            ("disabled", "Disabled: let every call pass, count nothing"),
                            ("metrics_only", "Metrics only: count and report, never reject"),
                        ],
                        max_length=16,
                    ),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                ("ended_by", models.TextField(blank=True)),
                (
                    "ending",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("expired", "Expired"),
                            ("reverted", "Reverted"),
                            ("replaced", "Replaced"),
                        ],
                        max_length=8,
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)),
                        fields=["expires_at"],
                        name="override_due",
                    ),
                    models.Index(
                        fields=["service", "name", "-created_at"], name="override_of_breaker"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("scope", "service", "name", "instance", "domain"),
                        name="override_in_force",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("number", models.IntegerField(help_text="1, 2, … for each breaker.")),
                ("policy", models.JSONField()),
                ("before", models.JSONField()),
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("rolled_back_to", models.IntegerField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("service", "name", "number"), name="policy_number"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RetryBudget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=200)),
                ("dependency", models.CharField(max_length=200)),
                ("instance", models.CharField(blank=True, max_length=200)),
                ("calls", models.IntegerField(null=True)),
                ("retries", models.IntegerField(null=True)),
                ("left", models.IntegerField(null=True)),
                ("last_seen", models.DateTimeField()),
            ],
            options={
                "ordering": ["service", "dependency", "instance"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("service", "dependency", "instance"), name="retrybudget_instance"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Toggle",
            fields=[
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("key", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("value", models.JSONField(null=True)),
                ("otherwise", models.JSONField(default=bool, null=True)),
                ("rollout", models.FloatField(default=1.0)),
                ("services", models.JSONField(default=list)),
                ("instances", models.JSONField(default=list)),
                ("owner", models.CharField(blank=True, max_length=200)),
                ("description", models.TextField(blank=True)),
                (
                    "resting",
                    models.JSONField(
                        help_text="null, or what it was before: a mapping.", null=True
                    ),
                ),
                ("version", models.BigIntegerField(default=1)),
                (
                    "is_set",
                    models.BooleanField(
                        default=True, help_text="Whether services are told a value."
                    ),
                ),
            ],
            options={
                "ordering": ["key"],
                "indexes": [models.Index(fields=["expires_at"], name="toggle_due")],
            },
        ),
        migrations.CreateModel(
            name="CommandReport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instance", models.CharField(max_length=200)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("unknown_action", "Unknown action"),
                        ],
                        max_length=16,
                    ),
                ),
                ("output", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                (
                    "command",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reports",
                        to="breakers.command",
                    ),
                ),
            ],
            options={
                "ordering": ["at", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("command", "instance"), name="report_of_instance"
                    )
                ],
            },
        ),
    ]
