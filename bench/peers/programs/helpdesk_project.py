"""The Django project that django-helpdesk runs in, with token authentication for its REST API and nothing unusual.

It runs in a virtual environment of its own and imports nothing of the tracker. `python helpdesk_project.py` makes the
tables, a queue, a user and the user's token, and prints the token.
"""

import os
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

_url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="a secret of the measurement that is long enough for Django",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="helpdesk_urls",
    WSGI_APPLICATION="helpdesk_project.application",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.sites",
        "django.contrib.humanize",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "django.contrib.admin",
        "rest_framework",
        "rest_framework.authtoken",
        "helpdesk",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _url.path.strip("/"),
            "USER": _url.username,
            "PASSWORD": _url.password or "",
            "HOST": parse_qs(_url.query).get("host", [_url.hostname])[0],
            "PORT": str(_url.port or ""),
            "CONN_MAX_AGE": 600,
        }
    },
    EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    HELPDESK_ACTIVATE_API_ENDPOINT=True,
    HELPDESK_TEAMS_MODE_ENABLED=False,
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]},
    SITE_ID=1,
    STATIC_URL="/static/",
    USE_TZ=True,
)
django.setup()

# Models can be imported only after the setup.
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from helpdesk.models import Queue  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

application = get_wsgi_application()


def _prepare() -> None:
    call_command("migrate", verbosity=0)
    Queue.objects.create(title="Measured", slug="measured")
    user = User.objects.create_superuser("admin", "admin@example.org", os.environ["PASSWORD"])
    print(Token.objects.create(user=user).key)


if __name__ == "__main__":
    _prepare()
