"""Paths of the screens that combine apps, and of signing in and out."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from resilience_site.pages import components

urlpatterns = [
    path("login", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", auth_views.LogoutView.as_view(), name="logout"),
    path("dev/components", components.gallery, name="components"),
    path("dev/components/rows", components.gallery_rows, name="components-rows"),
    path("dev/components/figure.json", components.gallery_figure, name="components-figure"),
]
