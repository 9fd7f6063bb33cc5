"""Who may see the gallery, and what an unknown or refused page says."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from resilience_site.core.choices import Role

PATHS = ["/dev/components", "/dev/components/rows", "/dev/components/figure.json"]


def signed_in(role: Role) -> Client:
    user = get_user_model().objects.create_user(role.value)
    user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_the_gallery_is_for_admins(path: str) -> None:
    assert Client().get(path).status_code == 302
    assert signed_in(Role.OPERATOR).get(path).status_code == 403
    assert signed_in(Role.ADMIN).get(path).status_code == 200


@pytest.mark.django_db
def test_a_refused_page_names_the_role_that_it_needs() -> None:
    answer = signed_in(Role.VIEWER).get("/dev/components")
    assert "This page needs the role admin." in answer.content.decode()


@pytest.mark.django_db
def test_an_unknown_page_says_what_to_do() -> None:
    answer = Client().get("/no/such/page")
    assert answer.status_code == 404
    assert "/no/such/page" in answer.content.decode()


@pytest.mark.django_db
def test_a_wrong_password_is_explained_and_the_name_is_kept() -> None:
    answer = Client().post("/login", {"username": "alice", "password": "wrong"})
    html = answer.content.decode()
    assert 'role="alert"' in html
    assert 'value="alice"' in html


@pytest.mark.django_db
def test_login_leads_back_to_the_page_that_asked_for_it() -> None:
    get_user_model().objects.create_user("alice", password="correct horse")
    form = {"username": "alice", "password": "correct horse", "next": "/errors?q=1"}
    assert Client().post("/login", form).headers["Location"] == "/errors?q=1"
