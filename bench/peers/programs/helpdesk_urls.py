"""The paths of the Django project that django-helpdesk runs in."""

from django.urls import include, path

urlpatterns = [path("", include("helpdesk.urls", namespace="helpdesk"))]
