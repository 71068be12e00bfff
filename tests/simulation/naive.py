"""The client to compare with: it renews on 401, as most SDKs do, and each process does so for itself.

It keeps its token in memory, looks at no clock, asks for the next one when the resource refuses the last, and tries a
refused request once more. Who calls meanwhile waits for the same answer. A failure is the caller's, and the next call
tries again. There is no store, no renewal ahead of time, no back-off, and no Retry-After.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gatepass.core.http import HttpRequest
from gatepass.errors import UnreachableError
from simulation.fleet import Call, Process, Surroundings, Wire
from simulation.servers import ISSUER

if TYPE_CHECKING:
    from simulation.fleet import Asking, Worker

_OK = 200


class NaiveProcess(Process):
    """One life of a worker with such a client."""

    def __init__(self, worker: Worker, around: Surroundings) -> None:
        super().__init__(worker, around)
        self._wire = Wire(self, around)
        self._token: str | None = None
        self._boarding: list[Call] = []

    def asks(self, request: HttpRequest) -> Asking | None:
        return None  # what it does is not held against any invariant but those of the load

    def call(self) -> None:
        if not self.around.closing:
            self._hub.after(self._until_the_next_call(), self, self.call)
            self._try(Call(self._hub.now, 0.0))

    def _try(self, call: Call) -> None:
        token = self._token
        if token is not None and self.around.resource.accepts(token, self._hub.now):
            self.around.watch.served += 1
            return
        if token is not None:
            self.around.watch.refusals += 1
        if call.refused:
            self.around.watch.count_failure("unauthorized")
            return
        self._boarding.append(call)
        if len(self._boarding) == 1:
            self._hub.start(0.0, self, self._ask)

    def _ask(self) -> None:
        failure = self._asked()
        calls, self._boarding = self._boarding, []
        for call in calls:
            if failure is not None:
                self.around.watch.count_failure(failure)
            else:
                call.refused.append("the last one")
                self._try(call)

    def _asked(self) -> str | None:
        """A token request; how it failed, if it did."""
        service = self.worker.service.name
        body = f"grant_type=client_credentials&client_id={service}&client_secret={self.secret}".encode()
        try:
            response = self._wire.send(HttpRequest(method="POST", url=f"{ISSUER}/token", body=body))
        except UnreachableError as failure:
            return failure.code
        if response.status != _OK:
            return f"status_{response.status}"
        self._token = json.loads(response.body)["access_token"]
        return None
