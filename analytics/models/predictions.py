"""Failures foreseen, failures seen, and what was learnt from both."""

from __future__ import annotations

from django.db import models

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome


class PredictionModel(models.Model):
    """What was fitted to a site's own history, and how it did against the rules.

    `scores` holds, for "model" and "rules", precision, recall, f1 and false alarms per service and
    day on the held-back part. `used` says whether it is the one that predicts now; `reason` why.
    """

    kind = models.CharField(max_length=12, choices=FailureKind)
    trained_at = models.DateTimeField(db_index=True)
    failures = models.IntegerField()
    history_from = models.DateTimeField()
    history_until = models.DateTimeField()
    parameters = models.JSONField()
    scores = models.JSONField()
    used = models.BooleanField()
    reason = models.TextField()

    def __str__(self) -> str:
        return f"{self.kind} {self.trained_at}"


class Prediction(models.Model):
    """That a service will fail in some way within a horizon, and what came of it.

    `id` is made of the service, the kind and the moment. `confidence` is how far to trust the
    probability, 0..1, by the history behind it. `lead_seconds` is from the prediction to the
    failure, once there was one.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField()
    kind = models.CharField(max_length=12, choices=FailureKind)
    probability = models.FloatField()
    confidence = models.FloatField()
    horizon_seconds = models.IntegerField()
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()
    reasons = models.JSONField()
    method = models.CharField(max_length=5, choices=PredictionMethod)
    outcome = models.CharField(
        max_length=7, choices=PredictionOutcome, default=PredictionOutcome.PENDING
    )
    settled_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    lead_seconds = models.IntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-made_at", "-id"], name="prediction_newest"),
            models.Index(fields=["service", "kind", "-made_at"], name="prediction_service"),
            models.Index(
                fields=["due_at"],
                condition=models.Q(outcome="pending"),
                name="prediction_pending",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.kind} {self.made_at}"


class ObservedFailure(models.Model):
    """That a service did fail: what predictions are scored against. `foreseen` says whether a
    prediction was pending when it began."""

    service = models.TextField()
    kind = models.CharField(max_length=12, choices=FailureKind)
    subject = models.TextField(help_text="The check, breaker or objective that failed.")
    at = models.DateTimeField()
    foreseen = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service", "kind", "subject", "at"], name="observedfailure_once"
            )
        ]
        indexes = [models.Index(fields=["kind", "-at"], name="observedfailure_newest")]

    def __str__(self) -> str:
        return f"{self.service} {self.kind} {self.at}"


class Sign(models.Model):
    """A kind of event that may foretell a failure, counted per service and minute.

    Kept apart from the events themselves, whose retention is shorter than what is learnt from.
    """

    service = models.TextField()
    minute = models.DateTimeField()
    kind = models.TextField()
    count = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "minute", "kind"], name="sign_once")
        ]
        indexes = [models.Index(fields=["minute"], name="sign_minute")]

    def __str__(self) -> str:
        return f"{self.service} {self.minute} {self.kind}"


class ReadCursor(models.Model):
    """How far a background reader has read the journal or a table."""

    reader = models.CharField(max_length=40, primary_key=True)
    position = models.BigIntegerField(default=0)
    through = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.reader
