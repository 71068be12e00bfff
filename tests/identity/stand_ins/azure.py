"""The instance metadata service of Azure."""

from __future__ import annotations

from identity.stand_ins.place import ECHO, JSON, HttpPlace, Request, as_json
from wire import response

from gatepass.identity import AzureManagedIdentity


class Azure(HttpPlace):
    kind = AzureManagedIdentity
    extra, library = "azure", "azure.identity"
    client_ids: tuple[str | None, ...] = (None,)

    def move_in(self) -> None:
        self.environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://{self.wire.where}")

    def reply(self, request: Request) -> bytes:
        if request.headers.get("metadata") != "true":
            answer = {"error": "invalid_request", "error_description": "Required metadata header not specified"}
            return response(as_json(answer), JSON, status=b"400 Bad Request")
        if (request.method, request.path) != ("GET", "/metadata/identity/oauth2/token"):
            return response(status=b"404 Not Found")
        if request.query.get("client_id") not in self.client_ids:
            answer = {"error": "invalid_request", "error_description": "Identity not found"}
            return response(as_json(answer), JSON, status=b"400 Bad Request")
        answer = {
            "access_token": self.token(request.query["resource"]),
            "client_id": request.query.get("client_id", "the only one"),
            "expires_in": "86399",
            "expires_on": "1999999999",
            "ext_expires_in": "86399",
            "not_before": "1700000000",
            "resource": request.query["resource"],
            "token_type": "Bearer",
        }
        return response(as_json(answer), JSON)

    def refusal(self, status: int) -> bytes:
        return as_json({"error": "invalid_resource", "error_description": f"AADSTS500011: {ECHO.decode()}"})
