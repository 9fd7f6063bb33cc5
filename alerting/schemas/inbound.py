"""Alerts of other systems in the API."""

from __future__ import annotations

from ninja import Field, Schema


class InboundOut(Schema):
    """What a post came to."""

    firing: int = Field(description="Alerts of the post that fire")
    resolved: int = Field(description="Alerts that it ended")
    unknown: int = Field(description="Resolved ones that were not open here")
    left_out: int = Field(description="Alerts that the sender left out of the post")
    labels_left_out: int = Field(
        description="Labels beyond the 64 that an alert keeps; those that say its name, severity, "
        "service and place are kept first, and its label labels_left_out stands for the rest"
    )
