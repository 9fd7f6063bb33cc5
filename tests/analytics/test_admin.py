"""Every model has its page in the stock admin, and none of them fails to render."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

MODELS = [
    m
    for m in admin.site._registry
    if m._meta.app_label in ("analytics", "health", "core", "healing")
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label_lower)
def test_an_admin_lists_and_searches_the_rows_of_each_model(
    model: type, admin_client: Client
) -> None:
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert admin_client.get(path).status_code == 200
    assert admin_client.get(path, {"q": "planner"}).status_code == 200


def test_every_model_of_the_house_is_registered() -> None:
    from django.apps import apps

    ours = {
        m
        for name in ("core", "health", "breakers", "analytics", "alerting", "healing")
        for m in apps.get_app_config(name).get_models()
    }
    assert {m.__name__ for m in ours - set(admin.site._registry)} == set()
