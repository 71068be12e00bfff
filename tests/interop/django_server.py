"""django-oauth-toolkit, an authorization server with opaque tokens, on loopback and a port of the system's choosing.

Reads one JSON line from standard input, serves, and says where in one JSON line on standard output. It ends with its
standard input, so that it does not outlive whoever started it.

    directory   where the database goes
    layout      where the metadata is: "openid" as in the package's tutorial (under the issuer, OIDC Discovery 1.0 §4),
                "oauth" as its documentation advises for strict clients (RFC 8414 §3), "none" for neither
    clients     ids and secrets of the applications that may use client_credentials
    scopes      the scopes there are
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

given = json.loads(sys.stdin.readline())
layout = given["layout"]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(given["directory"]) / "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": 300,
        "DEFAULT_SCOPES": [],
        "OIDC_ENABLED": layout == "openid",
        "SCOPES": dict.fromkeys(given["scopes"], "a scope"),
    },
    # The default hasher takes a third of a second for each request, by design.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a server that lives for a few seconds",
    USE_TZ=True,
)
django.setup()

from oauth2_provider import urls as toolkit  # noqa: E402 (needs the settings)
from oauth2_provider.models import Application  # noqa: E402

endpoints = toolkit.base_urlpatterns + (toolkit.oidc_urlpatterns if layout == "openid" else [])
urlpatterns = [path("o/", include((endpoints, toolkit.app_name)))]
if layout == "oauth":
    urlpatterns += [path("", include(toolkit.metadata_urlpatterns))]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    threading.Thread(target=end_with_input, daemon=True).start()
    call_command("migrate", verbosity=0)
    for client_id, secret in given["clients"].items():
        Application.objects.create(
            client_id=client_id,
            client_secret=secret,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        )
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=QuietHandler) as server:
        print(json.dumps({"issuer": f"http://127.0.0.1:{server.server_port}/o"}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
