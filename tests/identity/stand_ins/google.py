"""The metadata server of Google Cloud."""

from __future__ import annotations

from google.auth.compute_engine import _metadata
from identity.stand_ins.place import ECHO, HttpPlace, Request
from wire import response

from gatepass.identity import GoogleCloud

PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
FLAVOR = b"Metadata-Flavor: Google"
TEXT = b"Content-Type: text/html"


class Google(HttpPlace):
    kind = GoogleCloud
    extra, library = "gcp", "google.auth.compute_engine"

    def move_in(self) -> None:
        self.environment.setenv("GCE_METADATA_HOST", self.wire.where)
        self.environment.setattr(_metadata, "_GCE_METADATA_HOST", self.wire.where)  # it reads the variable on import

    def reply(self, request: Request) -> bytes:
        if request.headers.get("metadata-flavor") != "Google":
            return response(b"Missing Metadata-Flavor:Google header.", FLAVOR, TEXT, status=b"403 Forbidden")
        if (request.method, request.path, request.query.get("format")) != ("GET", PATH, "full"):
            return response(status=b"404 Not Found")
        return response(self.token(request.query["audience"]).encode(), FLAVOR, TEXT)

    def refusal(self, status: int) -> bytes:
        return b"<!DOCTYPE html><title>Error</title>" + ECHO
