"""Alerts of other systems in the API."""

from __future__ import annotations

from ninja import Field, Schema


class InboundOut(Schema):
    """What a post came to."""

    firing: int = Field(description="Alerts of the post that fire")
    resolved: int = Field(description="Alerts that it ended")
    unknown: int = Field(description="Resolved ones that were not open here")
    left_out: int = Field(description="Alerts that the sender left out of the post")
