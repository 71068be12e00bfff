"""The Workload API of a SPIFFE agent: a gRPC server on a Unix socket."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from identity.stand_ins.place import ECHO, Place
from spiffe._proto import workload_pb2, workload_pb2_grpc

from gatepass.identity import Spiffe

SPIFFE_ID = "spiffe://example.com/ci-bot"
CODES = {
    403: grpc.StatusCode.PERMISSION_DENIED,
    500: grpc.StatusCode.UNAVAILABLE,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Agent(Place, workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    kind = Spiffe
    extra, library = "spiffe", "spiffe"

    def __init__(self, environment: pytest.MonkeyPatch, directory: Path) -> None:
        super().__init__()
        self.environment = environment
        self.socket = directory / "agent.sock"
        self.code: grpc.StatusCode | None = None
        self.hanging = False
        self.subjects: list[str] = []
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._server = grpc.server(self._pool)

    def __enter__(self) -> Self:
        workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()
        self.environment.setenv("SPIFFE_ENDPOINT_SOCKET", f"unix://{self.socket}")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.stop(None).wait(30)
        self._pool.shutdown()

    def FetchJWTSVID(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name for it
        if dict(context.invocation_metadata()).get("workload.spiffe.io") != "true":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
        if self.hanging:
            self._over.wait(30)
        if self.code is not None:
            context.abort(self.code, ECHO.decode())
        self.subjects.append(request.spiffe_id)
        (audience,) = request.audience
        svid = workload_pb2.JWTSVID(spiffe_id=request.spiffe_id or SPIFFE_ID, svid=self.token(audience))
        return workload_pb2.JWTSVIDResponse(svids=[svid])

    def fail(self, status: int) -> None:
        """Answer with the code that means the same as this HTTP status."""
        self.code = CODES[status]

    def hang(self) -> None:
        """Answer nothing."""
        self.hanging = True
