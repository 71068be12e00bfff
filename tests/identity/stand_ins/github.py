"""GitHub's OIDC service, as a runner sees it."""

from __future__ import annotations

from identity.stand_ins.place import ECHO, JSON, HttpPlace, Request, as_json
from wire import response

from gatepass.identity import GitHubActions

PERMIT = "canary-request-token"


class GitHub(HttpPlace):
    kind = GitHubActions
    secrets = (PERMIT,)

    def move_in(self) -> None:
        self.environment.setenv("GITHUB_ACTIONS", "true")
        self.environment.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PERMIT)
        self.environment.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"http://{self.wire.where}/oidc/token?api-version=2.0")

    def reply(self, request: Request) -> bytes:
        if request.headers.get("authorization") != f"Bearer {PERMIT}":
            return response(as_json({"message": "Unauthorized"}), JSON, status=b"401 Unauthorized")
        if (request.method, request.path, request.query.get("api-version")) != ("GET", "/oidc/token", "2.0"):
            return response(status=b"404 Not Found")
        return response(as_json({"count": 1, "value": self.token(request.query["audience"])}), JSON)

    def refusal(self, status: int) -> bytes:
        return as_json({"$id": "1", "message": f"{ECHO.decode()} {PERMIT}", "typeKey": "AccessDenied", "errorCode": 0})
