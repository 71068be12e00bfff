"""From a resource to its token endpoint, in a world where every request is written down beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted import ScriptedWorld

from gatepass.core.http import HttpResponse
from gatepass.core.target import Target
from gatepass.discovery import Discovery, KnownServer, discover, discover_server
from gatepass.errors import ConfigurationError, RemoteError, UnreachableError
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.server import EndpointAliases, ServerMetadata

RS = "https://mcp.example.com"
AS = "https://as.example.com"
ENDPOINT = f"{RS}/mcp"
PATH_FORM = f"GET {RS}/.well-known/oauth-protected-resource/mcp"
ROOT_FORM = f"GET {RS}/.well-known/oauth-protected-resource"
OAUTH_FORM = f"GET {AS}/.well-known/oauth-authorization-server"
OIDC_FORM = f"GET {AS}/.well-known/openid-configuration"


def answer(
    document: dict[str, Any] | None = None, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> HttpResponse:
    kind = (("Content-Type", "application/json"),)
    return HttpResponse(status=status, headers=kind + headers, body=json.dumps(document or {}).encode())


MISSING = answer(status=404)
PAGE = HttpResponse(status=200, headers=(("Content-Type", "text/html"),), body=b"<html>Sign in</html>")


def resource(**members: Any) -> HttpResponse:
    return answer({"resource": ENDPOINT, "authorization_servers": [AS]} | members)


def server(issuer: str = AS, **members: Any) -> HttpResponse:
    return answer({"issuer": issuer, "token_endpoint": f"{AS}/token"} | members)


def target(**fields: Any) -> Target:
    return Target(endpoint=ENDPOINT, **({"issuer": AS} | fields))


def challenge(url: str | None) -> ResourceChallenge:
    return ResourceChallenge(scheme="bearer", resource_metadata=url, scope=None, error=None, error_description=None)


def find(
    script: list[Any], where: Target | None = None, asked: ResourceChallenge | None = None
) -> tuple[Discovery, ScriptedWorld]:
    with ScriptedWorld(script) as world:
        return discover(world, where or target(), asked), world


WAYS = [
    ("the path form", [(PATH_FORM, resource()), (OAUTH_FORM, server())]),
    ("the root form", [(PATH_FORM, MISSING), (ROOT_FORM, resource()), (OAUTH_FORM, server())]),
    ("a login page on the first", [(PATH_FORM, PAGE), (ROOT_FORM, resource()), (OAUTH_FORM, server())]),
    ("a guarded first", [(PATH_FORM, answer(status=401)), (ROOT_FORM, resource()), (OAUTH_FORM, server())]),
    ("OpenID Connect's form", [(PATH_FORM, resource()), (OAUTH_FORM, MISSING), (OIDC_FORM, server())]),
]


@pytest.mark.parametrize("script", [row[1] for row in WAYS], ids=[row[0] for row in WAYS])
def test_the_documents_are_found_wherever_they_may_stand(script: list[Any]) -> None:
    found, _ = find(script)
    assert (found.resource, found.server.token_endpoint) == (ENDPOINT, f"{AS}/token")


def test_a_challenge_says_where_to_look_first() -> None:
    named = f"{RS}/meta"
    found, _ = find([(f"GET {named}", resource()), (OAUTH_FORM, server())], asked=challenge(named))
    assert found.resource == ENDPOINT


def test_where_a_challenge_points_in_vain_the_well_known_places_are_tried() -> None:
    named = f"{RS}/meta"
    found, _ = find(
        [(f"GET {named}", MISSING), (PATH_FORM, resource()), (OAUTH_FORM, server())], asked=challenge(named)
    )
    assert found.resource == ENDPOINT


def test_where_no_place_answers_the_resource_is_asked_for_its_challenge() -> None:
    refusal = answer(status=401, headers=(("WWW-Authenticate", f'Bearer resource_metadata="{RS}/meta"'),))
    found, _ = find(
        [
            (PATH_FORM, MISSING),
            (ROOT_FORM, MISSING),
            (f"GET {ENDPOINT}", refusal),
            (f"GET {RS}/meta", resource()),
            (OAUTH_FORM, server()),
        ]
    )
    assert found.resource == ENDPOINT


def test_a_resource_without_metadata_is_its_endpoint_when_the_issuer_is_pinned() -> None:
    found, _ = find(
        [(PATH_FORM, MISSING), (ROOT_FORM, MISSING), (f"GET {ENDPOINT}", answer(status=401)), (OAUTH_FORM, server())]
    )
    assert (found.resource, found.scopes_supported) == (ENDPOINT, None)


def test_a_resource_without_metadata_and_without_a_pinned_issuer_is_an_error_that_says_what_to_give() -> None:
    script = [(PATH_FORM, MISSING), (ROOT_FORM, MISSING), (f"GET {ENDPOINT}", answer(status=401))]
    with pytest.raises(ConfigurationError, match="issuer=") as failure:
        find(script, target(issuer=None))
    assert failure.value.code == "issuer_unknown"


BARE = [(PATH_FORM, MISSING), (ROOT_FORM, MISSING)]
ENDLESS = [
    UnreachableError("It goes on and on.", code="timeout", retryable=True),
    RemoteError("It is larger than any document.", code="response_too_large"),
]


@pytest.mark.parametrize("failure", ENDLESS, ids=lambda failure: failure.code)
def test_with_a_pinned_issuer_nothing_depends_on_the_answer_to_a_bare_request(failure: Exception) -> None:
    found, world = find([*BARE, (f"GET {ENDPOINT}", failure), (OAUTH_FORM, server())])
    assert found.server.token_endpoint == f"{AS}/token"
    (notice,) = world.notices
    assert (notice.code, notice.level) == ("challenge_unknown", "debug")
    assert str(failure) in notice.text


@pytest.mark.parametrize("failure", ENDLESS, ids=lambda failure: failure.code)
def test_without_one_the_failure_of_a_bare_request_is_told(failure: Exception) -> None:
    with pytest.raises(type(failure)) as told:
        find([*BARE, (f"GET {ENDPOINT}", failure)], target(issuer=None))
    assert told.value is failure


def test_the_resource_indicator_is_the_metadata_s_own_word() -> None:
    found, _ = find([(PATH_FORM, resource(resource=f"{RS}/")), (OAUTH_FORM, server())])
    assert found.resource == f"{RS}/"


def test_with_issuer_and_token_endpoint_configured_nothing_is_asked() -> None:
    found, _ = find([], target(token_endpoint=f"{AS}/t"))
    assert found.server.token_endpoint == f"{AS}/t"


def test_a_configured_token_endpoint_replaces_the_discovered_one() -> None:
    found, _ = find(
        [(PATH_FORM, resource()), (OAUTH_FORM, server())], target(issuer=None, token_endpoint="https://other.example/t")
    )
    assert found.server.token_endpoint == "https://other.example/t"


def test_an_issuer_that_is_not_pinned_is_warned_of_once() -> None:
    _, world = find([(PATH_FORM, resource()), (OAUTH_FORM, server())], target(issuer=None))
    (notice,) = world.notices
    assert (notice.code, notice.level, notice.once) == ("issuer_not_pinned", "warning", True)
    assert AS in notice.text


def the_server(issuer: str) -> tuple[str, HttpResponse]:
    """The metadata of an issuer, where it stands."""
    return f"GET {issuer}/.well-known/oauth-authorization-server", server(issuer, token_endpoint=f"{issuer}/token")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_resource_on_this_machine_may_name_an_issuer_on_it(host: str) -> None:
    endpoint, issuer = f"http://{host}:1/mcp", "http://127.0.0.1:2"
    document = answer({"resource": endpoint, "authorization_servers": [issuer]})
    place = f"GET http://{host}:1/.well-known/oauth-protected-resource/mcp"
    found, _ = find([(place, document), the_server(issuer)], Target(endpoint=endpoint))
    assert found.server.issuer == issuer


def test_a_resource_elsewhere_may_name_one_on_this_machine_that_is_encrypted_or_pinned() -> None:
    secure, plain = "https://localhost:2", "http://localhost:2"
    for issuer, pinned in ((secure, None), (plain, plain)):
        named = (PATH_FORM, resource(authorization_servers=[issuer]))
        found, _ = find([named, the_server(issuer)], target(issuer=pinned))
        assert found.server.token_endpoint == f"{issuer}/token"


def test_an_issuer_on_this_machine_that_a_resource_elsewhere_names_is_the_resources_fault() -> None:
    with pytest.raises(RemoteError, match="issuer='http://127") as failure:
        find([(PATH_FORM, resource(authorization_servers=["http://127.0.0.1:8080"]))], target(issuer=None))
    assert (failure.value.code, failure.value.by) == ("insecure_endpoint", "resource_server")


def test_endpoints_that_this_client_never_uses_are_in_nobodys_way() -> None:
    found, _ = find(
        [
            (PATH_FORM, resource()),
            (
                OAUTH_FORM,
                server(introspection_endpoint="http://in.side/i", registration_endpoint="https://x.example/r"),
            ),
        ],
        target(issuer=None),
    )
    assert (found.server.introspection_endpoint, found.server.registration_endpoint) == (None, None)
    assert found.server.token_endpoint == f"{AS}/token"


def test_with_a_configured_token_endpoint_the_resource_can_not_choose_who_else_sees_a_credential() -> None:
    members: dict[str, Any] = {
        "revocation_endpoint": f"{AS}/revoke",
        "registration_endpoint": f"{AS}/register",
        "mtls_endpoint_aliases": {"token_endpoint": f"{AS}/mtls", "revocation_endpoint": f"{AS}/mtls/revoke"},
    }
    found, _ = find(
        [(PATH_FORM, resource()), (OAUTH_FORM, server(**members))],
        target(issuer=None, token_endpoint="https://other.example/t"),
    )
    assert found.server == ServerMetadata(
        issuer=AS, token_endpoint="https://other.example/t", mtls_endpoint_aliases=EndpointAliases()
    )


def test_a_configured_token_endpoint_is_a_way_past_one_that_is_unfit() -> None:
    found, _ = find(
        [(PATH_FORM, resource()), (OAUTH_FORM, server(token_endpoint="http://in.side/token"))],
        target(issuer=None, token_endpoint=f"{AS}/t"),
    )
    assert found.server.token_endpoint == f"{AS}/t"


def test_a_pinned_issuer_is_not_warned_of() -> None:
    _, world = find([(PATH_FORM, resource()), (OAUTH_FORM, server())])
    assert world.notices == []


def test_the_shorter_cache_life_of_the_two_documents_counts() -> None:
    found, world = find(
        [
            (
                PATH_FORM,
                answer(
                    {"resource": ENDPOINT, "authorization_servers": [AS]}, headers=(("Cache-Control", "max-age=600"),)
                ),
            ),
            (
                OAUTH_FORM,
                answer({"issuer": AS, "token_endpoint": f"{AS}/token"}, headers=(("Cache-Control", "max-age=7200"),)),
            ),
        ]
    )
    assert found.cache_s == 600
    assert found.fresh(world.wall + 599)


REFUSALS = [
    (
        "metadata on a strange origin is not fetched",
        target(), challenge("https://evil.example/meta"), [],
        RemoteError, "resource_metadata_origin",
    ),
    (
        "metadata of another resource",
        target(), None, [(PATH_FORM, resource(resource=f"{RS}/other"))],
        RemoteError, "resource_mismatch",
    ),
    (
        "a pinned issuer that the resource does not list",
        target(issuer="https://mine.example"), None, [(PATH_FORM, resource())],
        RemoteError, "issuer_not_listed",
    ),
    (
        "an unpinned issuer without https",
        target(issuer=None), None, [(PATH_FORM, resource(authorization_servers=["http://as.example.com"]))],
        RemoteError, "insecure_endpoint",
    ),
    (
        "an unpinned issuer on this machine, named by a resource that is not",
        target(issuer=None), None, [(PATH_FORM, resource(authorization_servers=["HTTP://127.0.0.1:8080"]))],
        RemoteError, "insecure_endpoint",
    ),
    (
        "metadata of another issuer",
        target(), None, [(PATH_FORM, resource()), (OAUTH_FORM, server("https://other.example"))],
        RemoteError, "issuer_mismatch",
    ),
    (
        "a token endpoint without https",
        target(), None, [(PATH_FORM, resource()), (OAUTH_FORM, server(token_endpoint="http://as.example.com/token"))],
        RemoteError, "insecure_endpoint",
    ),
    (
        "an unpinned issuer's token endpoint elsewhere",
        target(issuer=None), None, [(PATH_FORM, resource()), (OAUTH_FORM, server(token_endpoint="https://x.example/t"))],
        RemoteError, "endpoint_origin",
    ),
    (
        "no token endpoint",
        target(), None, [(PATH_FORM, resource()), (OAUTH_FORM, answer({"issuer": AS}))],
        RemoteError, "token_endpoint_missing",
    ),
    (
        "no server metadata",
        target(), None, [(PATH_FORM, resource()), (OAUTH_FORM, MISSING), (OIDC_FORM, MISSING)],
        RemoteError, "server_metadata_missing",
    ),
    (
        "a token endpoint of the user's without https",
        target(token_endpoint="http://as.example.com/token"), None, [],
        ConfigurationError, "insecure_url",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "asked", "script", "kind", "code"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_a_way_that_does_not_fit_is_refused(
    where: Target, asked: ResourceChallenge | None, script: list[Any], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as failure:
        find(script, where, asked)
    assert failure.value.code == code  # type: ignore[attr-defined]


def test_a_metadata_origin_can_be_allowed_by_name() -> None:
    allowed = target(allow_metadata_origins=("https://meta.example",))
    found, _ = find(
        [("GET https://meta.example/m", resource()), (OAUTH_FORM, server())],
        allowed,
        challenge("https://meta.example/m"),
    )
    assert found.resource == ENDPOINT


def test_a_pinned_issuer_may_have_its_endpoints_on_other_origins() -> None:
    found, _ = find([(PATH_FORM, resource()), (OAUTH_FORM, server(token_endpoint="https://x.example/t"))])
    assert found.server.token_endpoint == "https://x.example/t"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_stops_discovery_with_an_error_worth_a_retry(status: int) -> None:
    with pytest.raises(RemoteError) as failure:
        find([(PATH_FORM, answer(status=status))])
    assert failure.value.retryable


def test_a_network_failure_passes_through() -> None:
    with pytest.raises(UnreachableError):
        find([(PATH_FORM, UnreachableError("No answer.", retryable=True))])


# what the resource says of proofs


@pytest.mark.parametrize(
    ("members", "required", "algorithms"),
    [
        ({}, False, None),
        ({"dpop_bound_access_tokens_required": True}, True, None),
        ({"dpop_bound_access_tokens_required": False}, False, None),
        ({"dpop_signing_alg_values_supported": ["ES256", "PS256"]}, False, ("ES256", "PS256")),
    ],
)
def test_the_resource_says_whether_tokens_must_be_bound_to_a_key(
    members: dict[str, Any], algorithms: tuple[str, ...] | None, *, required: bool
) -> None:
    found, _ = find([(PATH_FORM, resource(**members)), (OAUTH_FORM, server())])
    assert (found.dpop_required, found.dpop_algorithms) == (required, algorithms)


def test_without_resource_metadata_nothing_is_said_of_proofs() -> None:
    found, _ = find([*BARE, (f"GET {ENDPOINT}", answer(status=401)), (OAUTH_FORM, server())])
    assert (found.dpop_required, found.dpop_algorithms) == (False, None)


# before there was resource metadata (MCP 2025-03-26)

LEGACY = [*BARE, (f"GET {ENDPOINT}", answer(status=401))]
OWN_OAUTH, OWN_OIDC = f"GET {RS}/.well-known/oauth-authorization-server", f"GET {RS}/.well-known/openid-configuration"
OWN = answer({"issuer": RS, "token_endpoint": f"{RS}/oauth/token", "authorization_endpoint": f"{RS}/oauth/authorize"})


def old(**fields: Any) -> Target:
    return target(issuer=None, allow_legacy_discovery=True, **fields)


@pytest.mark.parametrize(
    "script",
    [[*LEGACY, (OWN_OAUTH, OWN)], [*LEGACY, (OWN_OAUTH, MISSING), (OWN_OIDC, OWN)]],
    ids=["OAuth's metadata", "OpenID Connect's"],
)
def test_an_old_server_s_own_origin_is_its_issuer(script: list[Any]) -> None:
    found, world = find(script, old())
    assert (found.resource, found.server.issuer, found.server.token_endpoint) == (ENDPOINT, RS, f"{RS}/oauth/token")
    assert found.server.code_challenge_methods_supported is None, "with metadata, what it says holds"
    (notice,) = world.notices
    assert (notice.code, notice.level, notice.once) == ("legacy_discovery", "warning", True)


def test_an_old_server_without_any_metadata_has_the_default_endpoints() -> None:
    found, world = find([*LEGACY, (OWN_OAUTH, MISSING), (OWN_OIDC, PAGE)], old())
    assert found.server == ServerMetadata(
        issuer=RS,
        authorization_endpoint=f"{RS}/authorize",
        token_endpoint=f"{RS}/token",
        registration_endpoint=f"{RS}/register",
        code_challenge_methods_supported=("S256",),
    )
    assert (found.fetched_at, found.cache_s) == (world.wall, 86_400.0)
    assert (found.resource, found.scopes_supported, found.dpop_required) == (ENDPOINT, None, False)


def test_a_configured_token_endpoint_replaces_the_default_one() -> None:
    found, _ = find([*LEGACY, (OWN_OAUTH, MISSING), (OWN_OIDC, MISSING)], old(token_endpoint=f"{RS}/t"))
    assert found.server.token_endpoint == f"{RS}/t"


NOT_LEGACY: list[tuple[str, Target, list[Any], type[Exception], str]] = [
    ("it was not asked for", target(issuer=None), LEGACY, ConfigurationError, "issuer_unknown"),
    (
        "the issuer is pinned",
        target(allow_legacy_discovery=True), [*LEGACY, (OAUTH_FORM, MISSING), (OIDC_FORM, MISSING)],
        RemoteError, "server_metadata_missing",
    ),
    (
        "the metadata is of another issuer",
        old(), [*LEGACY, (OWN_OAUTH, server(AS))],
        RemoteError, "issuer_mismatch",
    ),
    (
        "the token endpoint is elsewhere",
        old(), [*LEGACY, (OWN_OAUTH, server(RS, token_endpoint=f"{AS}/token"))],
        RemoteError, "endpoint_origin",
    ),
    (
        "the server is in trouble",
        old(), [*LEGACY, (OWN_OAUTH, answer(status=503))],
        RemoteError, "metadata_unavailable",
    ),
    (
        "the configured token endpoint is not encrypted",
        old(token_endpoint="http://mcp.example.com/t"), [*LEGACY, (OWN_OAUTH, MISSING)],
        ConfigurationError, "insecure_url",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "script", "kind", "code"), [row[1:] for row in NOT_LEGACY], ids=[row[0] for row in NOT_LEGACY]
)
def test_an_origin_is_not_taken_for_an_issuer_where(
    where: Target, script: list[Any], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as failure:
        find(script, where)
    assert failure.value.code == code  # type: ignore[attr-defined]


def test_a_resource_with_metadata_is_no_old_one() -> None:
    found, world = find([(PATH_FORM, resource()), (OAUTH_FORM, server())], old())
    assert found.server.issuer == AS
    assert [notice.code for notice in world.notices] == ["issuer_not_pinned"]


# a server that the user named, apart from any resource


def find_server(script: list[Any], issuer: str = AS) -> tuple[KnownServer, ScriptedWorld]:
    with ScriptedWorld(script) as world:
        return discover_server(world, issuer), world


def test_a_server_is_found_by_its_name_alone() -> None:
    found, world = find_server(
        [
            (OAUTH_FORM, MISSING),
            (
                OIDC_FORM,
                answer(
                    {"issuer": AS, "token_endpoint": "https://x.example/t"}, headers=(("Cache-Control", "max-age=600"),)
                ),
            ),
        ]
    )
    assert (found.server.token_endpoint, found.fetched_at, found.cache_s) == ("https://x.example/t", world.wall, 600)
    assert world.notices == []


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([(OAUTH_FORM, MISSING), (OIDC_FORM, MISSING)], "server_metadata_missing"),
        ([(OAUTH_FORM, answer({"issuer": AS}))], "token_endpoint_missing"),
        ([(OAUTH_FORM, server("https://other.example"))], "issuer_mismatch"),
        ([(OAUTH_FORM, server(f"{AS}/"))], "issuer_mismatch"),
        ([(OAUTH_FORM, server(token_endpoint="http://as.example.com/token"))], "insecure_endpoint"),
        ([(OAUTH_FORM, answer(status=503))], "metadata_unavailable"),
    ],
)
def test_a_server_that_does_not_fit_is_not_used(script: list[Any], code: str) -> None:
    with pytest.raises(RemoteError) as failure:
        find_server(script)
    assert (failure.value.code, failure.value.by) == (code, "authorization_server")
