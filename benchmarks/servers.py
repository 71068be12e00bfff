"""The other side, in a process of its own, so that its Python does not compete with the client's.

It runs an authorization server and a protected MCP server of `gatepass.testing`, and beside them the lean servers of
`benchmarks.lean`, which cost next to nothing. It says where they are, then takes one order a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from benchmarks.lean import LeanServers
    from gatepass.testing import AuthorizationServer, ProtectedServer

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "KEY_CLIENT_ID", "ROOT", "SCOPE", "Counts", "CrowdCounts", "Servers", "Site"]

ROOT = Path(__file__).parent.parent
CLIENT_ID, CLIENT_SECRET, SCOPE = "bench", "bench-secret", "bench"
KEY_CLIENT_ID = "bench-key"
LONG_LIFE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A resource, and where its tokens come from.

    Attributes:
        url: the protected MCP endpoint.
        hello: something small behind the same gate, for plain HTTP.
        issuer: the authorization server.
        token_endpoint: of that server, for who does not discover it.
        token: a token for the resource that outlives the run.
    """

    url: str
    hello: str
    issuer: str
    token_endpoint: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The requests that came since the last `Servers.reset`.

    Attributes:
        token: to the token endpoint.
        discovery: for metadata of the resource and of the authorization server.
        resource: to the resource.
        refused: of those, answered 401.
    """

    token: int
    discovery: int
    resource: int
    refused: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.token + self.discovery + self.resource


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdCounts:
    """What came to the lean authorization servers since the last `Servers.reset`.

    Attributes:
        token: requests for a token.
        connections: how many were open at the same moment, at most.
    """

    token: int
    connections: int


class Servers:
    """The servers, as the measuring process sees them.

    Args:
        key_file: the private key of the client that proves itself with one.

    Attributes:
        site: the resource of `gatepass.testing`.
        late: a server that answers ``{late}/50`` after 50 ms, to anybody.
        crowd: lean resources, each with an authorization server of its own.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.servers", str(self._key_file)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        places = self._answer()
        self.site, self.late = Site(**places["site"]), str(places["late"])
        self.crowd = [Site(**site) for site in places["crowd"]]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its orders is the end of it

    def reset(self) -> None:
        """Forget the requests so far."""
        self._order("reset")

    def counts(self) -> Counts:
        """The requests since then."""
        return Counts(**self._order("counts"))

    def crowd_counts(self) -> CrowdCounts:
        """What came to the lean authorization servers since then."""
        return CrowdCounts(**self._order("crowd"))

    def revoke_all(self) -> None:
        """Take back every token that was issued; the site has a new one of its own."""
        self.site = replace(self.site, token=self._order("revoke"))

    def issue_short_tokens(self, lifetime_s: float | None) -> None:
        """How long tokens live from now on; None: long ones."""
        self._order("lifetime", lifetime_s=lifetime_s or LONG_LIFE_S)

    def trouble_token_endpoint(self, **trouble: float) -> None:
        """What goes wrong at the token endpoint from now on, as `gatepass.testing.Trouble` says it; nothing: peace."""
        self._order("trouble", trouble=trouble)

    def refuse_everybody(self, refuse: bool) -> None:
        """Whether the resource answers 401 whatever the token."""
        self._order("refuse", refuse=refuse)

    def _order(self, order: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **arguments}) + "\n")
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The server process ended; its last words are above.")
        return json.loads(line)


def serve(key_file: Path) -> None:
    """Run the servers until there are no more orders."""
    from cryptography.hazmat.primitives import serialization

    from benchmarks.lean import LeanServers
    from gatepass.testing import AuthorizationServer, ProtectedServer

    private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # The SDK takes no metadata without an authorization endpoint, which a server for machines need not have.
    issuer = AuthorizationServer(token_lifetime_s=LONG_LIFE_S, authorization_endpoint=True)
    with issuer, ProtectedServer(issuer, scopes=[SCOPE]) as resource:
        issuer.default_resource = resource.url  # some peers name no resource
        issuer.add_client(CLIENT_ID, secret=CLIENT_SECRET, scopes=[SCOPE])
        issuer.add_client(KEY_CLIENT_ID, public_key=public, scopes=[SCOPE])
        site = Site(
            url=resource.url,
            hello=f"{resource.url}/plain/hello",
            issuer=issuer.issuer,
            token_endpoint=issuer.token_endpoint,
            token=long_lived_token(issuer, resource),
        )
        lean = LeanServers()
        crowd = [asdict(site) for site in lean.crowd]
        print(json.dumps({"site": asdict(site), "late": lean.late, "crowd": crowd}), flush=True)
        for line in sys.stdin:
            print(json.dumps(obey(json.loads(line), issuer, resource, lean)), flush=True)


def long_lived_token(issuer: AuthorizationServer, resource: ProtectedServer) -> str:
    """For the fixed header."""
    return issuer.issue_token(CLIENT_ID, scopes=(SCOPE,), audience=resource.url, lifetime_s=LONG_LIFE_S)


def obey(order: dict[str, Any], issuer: AuthorizationServer, resource: ProtectedServer, lean: LeanServers) -> object:
    """Carry out one order."""
    from gatepass.testing import Trouble

    match order:
        case {"order": "reset"}:
            issuer.reset_counters()
            resource.reset_counters()
            lean.reset()
        case {"order": "counts"}:
            counts = Counts(
                token=issuer.count("token"),
                discovery=issuer.count("metadata") + resource.count("metadata"),
                resource=resource.count("resource"),
                refused=resource.count("resource", status=401),
            )
            return asdict(counts)
        case {"order": "crowd"}:
            return asdict(CrowdCounts(token=lean.tally.token_requests, connections=lean.tally.most_connections))
        case {"order": "revoke"}:
            issuer.revoke_all()
            return long_lived_token(issuer, resource)
        case {"order": "lifetime", "lifetime_s": lifetime_s}:
            issuer.token_lifetime_s = lifetime_s
        case {"order": "trouble", "trouble": trouble}:
            issuer.trouble = Trouble(**trouble)
        case {"order": "refuse", "refuse": refuse}:
            resource.reject_all = refuse
        case _:
            raise ValueError(order)
    return None


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
