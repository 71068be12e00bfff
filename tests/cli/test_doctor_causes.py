"""What the doctor makes of troubles that the gallery does not have, and of ways in that are not the usual one."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import time
from contextlib import suppress

import key_material
import pytest
from cli.doctor_cases import examined, finding, step_of, warnings
from joserfc import jwt
from joserfc.jwk import ECKey
from wire import Wire

from gatepass.cli.doctor.spelling import as_toml, as_typed
from gatepass.cli.reference import Reference
from gatepass.testing import gallery
from gatepass.testing.certificates import Certificates
from gatepass.testing.stage import Stage
from gatepass.testing.trouble import Trouble

SECRET = "canary-of-the-doctor"
ONCE = {"times": 1}


@pytest.fixture
def stage():
    """Where all is well, unless a test changes that."""
    with gallery.open() as stage:
        yield stage


def the_fix(told):
    failure = examined(told).first_failure
    return failure.troubles[0].fix.options


# The MCP server's answer to somebody without a token.


@pytest.mark.parametrize(
    ("trouble", "diagnosis"),
    [
        (Trouble(status=307, headers={"Location": "/mcp/"}), "endpoint_redirects"),
        (Trouble(status=302, headers={"Location": "https://login.example.com/start"}), "sign_in_in_front"),
        (Trouble(status=302), "endpoint_redirects"),
        (Trouble(status=405, **ONCE), "not_mcp"),
        (Trouble(status=429, **ONCE), "rate_limited"),
        (Trouble(status=500, **ONCE), "mcp_server_fails"),
        (Trouble(status=511, **ONCE), "captive_portal"),
        (Trouble(connection="reset", **ONCE), "connection_broken"),
        (Trouble(body="huge", **ONCE), "response_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_is_no_challenge_stops_the_way_in(stage, trouble, diagnosis):
    stage.mcp_server.trouble = trouble
    assert finding(stage.told) == ("challenge", diagnosis)


@pytest.mark.parametrize(
    ("trouble", "diagnosis"),
    [
        (Trouble(status=400, **ONCE), "challenge_is_other"),
        (Trouble(status=403, **ONCE), "challenge_is_403"),
        (Trouble(body={"jsonrpc": "2.0", "id": 1, "result": {}}, **ONCE), "not_protected"),
        (Trouble(headers={"WWW-Authenticate": 'Basic realm="x"'}, **ONCE), "challenge_missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_the_library_copes_with_is_a_warning(stage, trouble, diagnosis):
    stage.mcp_server.trouble = trouble
    report = examined(stage.told)
    assert report.first_failure is None
    assert ("challenge", diagnosis) in warnings(report)


def test_where_the_url_leads_on_to_is_the_fix(stage):
    stage.mcp_server.trouble = Trouble(status=307, headers={"Location": "/mcp/"})
    report = examined(stage.told)
    trouble = report.first_failure.troubles[0]
    assert trouble.fix.options == {"url": f"{stage.url}/"}
    assert "by the slash" in trouble.cause


@pytest.mark.parametrize("path", ["", "/", "/nothing/here"])
def test_the_right_url_is_found_where_servers_usually_are(stage, path):
    report = examined({**stage.told, "url": stage.mcp_server.origin + path})
    (trouble,) = report.first_failure.troubles
    assert (trouble.id, trouble.fix.options) == ("endpoint_missing", {"url": stage.url})
    assert step_of(report, "token").skipped == "There is no MCP server at this URL. No token is asked for."
    assert stage.authorization_server.count("token") == 0


def test_where_there_is_nothing_at_all_the_url_is_to_be_filled_in():
    with Wire(lambda visit: visit.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as server:
        here = f"http://{server.where}"
        told = {"url": f"{here}/mcp", "client_id": "ci-bot", "auth_method": "none", "issuer": here}
        assert the_fix(told) == {"url": "URL"}
        knocked = [visit.head[0].split()[1] for visit in server.visits if visit.head and "POST" in visit.head[0]]
        assert knocked == ["/mcp", "/mcp/", "/sse", "/"]


# The metadata.


@pytest.mark.parametrize(
    ("trouble", "diagnosis"),
    [
        ({"status": 302, "headers": {"Location": "https://login.example.com/"}}, "metadata_login_page"),
        ({"status": 401}, "metadata_barred"),
        ({"status": 511}, "captive_portal"),
        ({"status": 429}, "metadata_unavailable"),
        ({"body": {"issuer": 1}}, "server_metadata_invalid"),
        ({"connection": "reset"}, "connection_broken"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_stands_in_the_place_of_the_servers_metadata_is_named(stage, trouble, diagnosis):
    stage.authorization_server.trouble = Trouble(paths=("metadata",), **trouble)
    if "connection" in trouble:  # the look at the connection comes to the same
        assert examined(stage.told).first_failure.id in ("server-metadata", "issuer-connection")
    else:
        assert finding(stage.told) == ("server-metadata", diagnosis)


@pytest.mark.parametrize(
    ("trouble", "diagnosis"),
    [
        ({"status": 503}, "metadata_unavailable"),
        ({"status": 511}, "captive_portal"),
        ({"body": "broken_json"}, "resource_metadata_invalid"),
        ({"replace": {"authorization_servers": ["ftp://example.com"]}}, "issuer_not_listed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_the_resources_metadata_is_named(stage, trouble, diagnosis):
    stage.mcp_server.trouble = Trouble(paths=("metadata",), **trouble)
    assert finding(stage.told) == ("resource-metadata", diagnosis)
    assert stage.authorization_server.count("token") == 0


def test_metadata_for_another_path_of_the_same_server_means_another_url(stage):
    right = f"{stage.mcp_server.origin}/other"
    stage.mcp_server.trouble = Trouble(paths=("metadata",), replace={"resource": right})
    assert the_fix(stage.told) == {"url": right}


def test_the_address_of_the_metadata_is_no_issuer(stage):
    issuer = stage.told["issuer"]
    told = {**stage.told, "issuer": f"{issuer}/.well-known/oauth-authorization-server"}
    assert the_fix(told) == {"issuer": issuer}


def test_an_issuer_that_differs_by_a_slash_from_the_one_that_is_listed_is_told_of(stage):
    told = {**stage.told, "issuer": f"{stage.told['issuer']}/"}
    assert finding(told) == ("resource-metadata", "issuer_slash")
    assert finding({**told, **the_fix(told)}) is None


def test_an_issuer_that_is_not_pinned_is_warned_of_with_the_option_that_pins_it(stage):
    told = dict(stage.told)
    issuer = told.pop("issuer")
    report = examined(told)
    (trouble,) = step_of(report, "resource-metadata").troubles
    assert (report.first_failure, trouble.id, trouble.fix.options) == (None, "issuer_not_pinned", {"issuer": issuer})


def test_nobody_is_asked_whom_the_library_would_not_ask(stage):
    """A resource elsewhere that names a server on this machine is not followed, not even for a look."""
    told = {**stage.told, "issuer": "https://auth.example.com"}
    stage.mcp_server.trouble = Trouble(paths=("metadata",), replace={"authorization_servers": ["http://10.0.0.1/"]})
    report = examined(told)
    assert report.first_failure.id == "resource-metadata"
    assert step_of(report, "server-metadata").skipped == "No authorization server is known."


def test_with_issuer_and_token_endpoint_configured_nothing_is_discovered(stage):
    report = examined({**stage.told, "token_endpoint": stage.authorization_server.token_endpoint})
    assert report.first_failure is None
    assert step_of(report, "resource-metadata").verdict == step_of(report, "server-metadata").verdict == "skipped"
    assert stage.authorization_server.count("metadata") == 0


def test_one_origin_for_both_is_looked_at_once(stage):
    both = "https://127.0.0.1:1"
    report = examined({**stage.told, "url": f"{both}/mcp", "issuer": both})
    assert step_of(report, "issuer-connection").skipped == "It is where the MCP server is."


# Below HTTP.


@pytest.fixture
def secure(tmp_path):
    """Makes a stage that speaks TLS, with a certificate of that life."""

    def secure(**how):
        stage = Stage(tmp_path, tls=Certificates(tmp_path, **how).tls())
        stage.told["ca_file"] = str(tmp_path / "ca.pem")
        return stage

    return secure


def test_a_certificate_is_shown_with_whose_it_is_and_until_when(secure):
    with secure() as stage:
        report = examined(stage.told)
    assert report.verdict == "ok"
    (exchange,) = step_of(report, "connection").exchanges
    assert exchange.answered.text == "TLSv1.3"
    fields = dict(exchange.answered.fields)
    assert fields["certificate of"] == "CN=127.0.0.1"
    assert fields["signed by"] == "CN=gatepass testing"
    assert fields["for"] == "localhost, 127.0.0.1"


def test_a_certificate_in_its_last_days_is_warned_of(secure):
    with secure(life=dt.timedelta(hours=1)) as stage:
        report = examined(stage.told)
    assert report.first_failure is None
    assert ("connection", "certificate_ends_soon") in warnings(report)


def test_https_where_http_is_spoken_is_named(stage):
    told = {**stage.told, "url": stage.url.replace("http:", "https:")}
    assert finding(told) == ("connection", "tls_missing")


def test_http_is_warned_of_where_it_is_not_on_loopback():
    told = {"url": "http://mcp.invalid/mcp", "client_id": "ci-bot", "auth_method": "none", "allow_http": True}
    told["issuer"] = "https://auth.invalid"
    assert finding(told) == ("name", "host_unknown")


def test_a_proxy_that_is_not_there_is_named_without_its_password(stage, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{SECRET}@127.0.0.1:1")
    report = examined(stage.told)
    assert (report.first_failure.id, report.first_failure.troubles[0].id) == ("connection", "proxy_failed")
    assert SECRET not in json.dumps([str(step) for step in report.steps])
    assert "http://127.0.0.1:1" in step_of(report, "name").skipped


def test_through_a_proxy_one_gets_in_and_the_proxy_is_shown(secure):
    with Wire(tunnel) as proxy, secure() as stage:
        report = examined({**stage.told, "proxy": f"http://{proxy.where}"})
        assert report.first_failure is None
        assert step_of(report, "name").skipped == f"The proxy http://{proxy.where} looks it up."
        asked = step_of(report, "connection").exchanges[0].asked.text
        assert asked.endswith(f"through the proxy http://{proxy.where}")
        assert all(visit.head[0].startswith("CONNECT 127.0.0.1:") for visit in proxy.visits)


def test_a_proxy_of_another_kind_is_left_to_the_library(stage):
    report = examined({**stage.told, "proxy": "socks5://127.0.0.1:1"})
    assert step_of(report, "connection").exchanges[0].answered.text.startswith("not looked at")
    assert report.first_failure is not None


def test_a_name_is_looked_up(stage):
    report = examined({**stage.told, "url": stage.url.replace("127.0.0.1", "localhost")})
    (exchange,) = step_of(report, "name").exchanges
    assert "127.0.0.1" in exchange.answered.text.split(", ")


def tunnel(visit) -> None:
    """A proxy's CONNECT: what comes from one side goes to the other."""
    host, _, port = visit.head[0].split()[1].partition(":")
    with socket.create_connection((host, int(port))) as far:
        visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pour, args=(far, visit.line))
        back.start()
        pour(visit.line, far)
        back.join()


def pour(source, into) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            into.sendall(data)
    with suppress(OSError):
        into.shutdown(socket.SHUT_WR)


# The credential.


def test_a_secret_that_is_not_there_is_told_of_before_anything_is_asked(stage):
    told = {**stage.told, "client_secret_file": str(stage.directory / "nothing")}
    report = examined(told)
    assert (report.first_failure.id, report.first_failure.troubles[0].id) == ("client", "file_unreadable")
    assert report.first_failure.exit_code == 3
    assert step_of(report, "server-metadata").verdict == "ok"
    assert stage.authorization_server.count("token") == 0


def test_a_key_that_is_none_is_told_of_once(stage):
    stage.told.pop("client_secret_file")
    report = examined({**stage.told, "private_key_file": str(stage.write("no.pem", "no key at all"))})
    failed = [step.id for step in report.steps if step.verdict == "failed"]
    assert failed == ["client"]


def test_a_secret_in_quotation_marks_is_suspicious(stage):
    secret = stage.client.secret_file.read_text().strip()
    report = examined({**stage.told, "client_secret_file": str(stage.write("quoted", f'"{secret}"'))})
    assert ("client", "secret_stray_characters") in warnings(report)
    assert report.first_failure.troubles[0].id == "client_refused"


def test_a_key_is_shown_by_what_it_signs_with_and_its_thumbprint(stage):
    stage.tell_key()
    report = examined(stage.told)
    assert report.verdict == "ok"
    fields = dict(step_of(report, "client").exchanges[0].answered.fields)
    assert fields["private key"] == "signs with ES256"
    sent = dict(step_of(report, "token").exchanges[0].asked.fields)
    assert sent["client_assertion"].startswith(f"a JWT: iss ci-bot, sub ci-bot, aud {stage.told['issuer']}, alg ES256")


def test_a_client_without_a_proof_is_told_how_it_could_have_one(stage):
    stage.told.pop("client_secret_file")
    told = {**stage.told, "auth_method": "none"}
    assert finding(told) == ("offer", "method_not_offered")
    assert the_fix(told) == {"private_key_file": "PATH"}


def test_a_ready_made_assertion_is_spent_once(stage):
    key = ECKey.import_key(stage.client.key_file.read_text())
    now = int(time.time())
    claims = {"iss": "ci-bot", "sub": "ci-bot", "aud": stage.told["issuer"], "iat": now, "exp": now + 60, "jti": "once"}
    stage.told.pop("client_secret_file")
    stage.told["assertion_file"] = str(stage.write("assertion.jwt", jwt.encode({"alg": "ES256"}, claims, key)))
    report = examined(stage.told)
    assert report.first_failure is None
    assert stage.authorization_server.count("token") == 1


def test_a_workload_gets_in_by_its_own_jwt(stage):
    del stage.told["client_id"]
    stage.authorization_server.add_trusted_issuer("ci-bot", [key_material.jwk("P-256", public=True)])
    now = int(time.time())
    claims = {"iss": "ci-bot", "sub": "ci-bot", "aud": stage.told["issuer"], "iat": now, "exp": now + 60, "jti": "w"}
    made = jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(key_material.pem("P-256")))
    stage.told.pop("client_secret_file")
    report = examined({**stage.told, "workload": Reference("file", (str(stage.write("w.jwt", made)),))})
    assert report.first_failure is None
    sent = dict(step_of(report, "token").exchanges[0].asked.fields)
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert made not in str(report)


def test_a_certificate_gets_in_and_is_shown_by_its_thumbprint(tmp_path):
    certificates = Certificates(tmp_path)
    stage = Stage(tmp_path, tls=certificates.tls("requested"))
    own = certificates.client("ci-bot")
    stage.authorization_server.add_client("ci-bot", certificate_subject="CN=ci-bot")
    stage.told.pop("client_secret_file")
    told = {**stage.told, "ca_file": str(certificates.ca), "cert_file": str(own), "auth_method": "tls_client_auth"}
    with stage:
        report = examined(told)
    assert report.first_failure is None
    assert dict(step_of(report, "client").exchanges[0].answered.fields)["certificate"].startswith("SHA-256 thumbprint")


# The token endpoint.


@pytest.mark.parametrize(
    ("status", "body", "diagnosis", "says"),
    [
        (401, {"error": "invalid_client", "error_description": "AADSTS7000222: expired"}, "client_refused", "expired."),
        (401, {"error": "invalid_client", "error_description": "AADSTS700016: no"}, "client_refused", "right tenant"),
        (403, {}, "client_refused", "status 403"),
        (400, {"error": "invalid_scope"}, "scope_refused", "Asked for: mcp:read"),
        (400, {"error": "invalid_request"}, "request_refused", "invalid_request"),
        (400, {"error": "invalid_target"}, "resource_unknown", "invalid_target"),
        (400, {"error": "invalid_grant"}, "token_refused", "invalid_grant"),
        (400, {"error": "something_else"}, "token_refused", "something_else"),
        (400, {}, "token_refused", "status 400"),
        (511, {}, "captive_portal", "wants a sign-in"),
        (200, {"token_type": "Bearer"}, "token_response_invalid", "access_token is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_read_for_what_it_means(stage, status, body, diagnosis, says):
    stage.authorization_server.trouble = Trouble(status=status, body=body)
    report = examined(stage.told)
    assert (report.first_failure.id, report.first_failure.troubles[0].id) == ("token", diagnosis)
    assert says in report.first_failure.troubles[0].cause


def test_a_token_endpoint_that_nobody_serves_is_looked_at(stage):
    dead = {"token_endpoint": "http://127.0.0.1:1/token"}
    stage.authorization_server.trouble = Trouble(paths=("metadata",), replace=dead)
    assert finding(stage.told) == ("token", "connection_refused")


def test_a_token_with_fewer_scopes_than_asked_for_is_warned_of(stage):
    stage.authorization_server.trouble = Trouble(replace={"scope": "other"})
    assert ("token", "scope_reduced") in warnings(examined(stage.told))


def test_dpop_that_nobody_offers_is_warned_of(stage):
    assert ("offer", "dpop_not_offered") in warnings(examined({**stage.told, "dpop": True}))


def test_bound_tokens_get_in_with_their_proofs(stage):
    stage.authorization_server.dpop = "optional"
    report = examined({**stage.told, "dpop": True})
    assert report.first_failure is None
    assert dict(step_of(report, "call").exchanges[0].asked.fields) == {
        "Authorization": "DPoP ***",
        "DPoP": "a proof ***",
    }


# What the token says, and the call.


def test_an_opaque_token_is_shown_by_its_length_only(stage):
    stage.authorization_server.token_format = "opaque"
    report = examined(stage.told)
    assert report.first_failure is None
    assert step_of(report, "contents").exchanges[0].answered.text == "it is opaque: only the servers can read it"


def test_a_token_that_says_nothing_right_of_itself_is_told_of(stage):
    claims = {"iss": "https://other.example.com", "aud": [stage.url], "exp": 1}
    token = jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(key_material.pem("P-256")))
    stage.authorization_server.trouble = Trouble(replace={"access_token": token})
    report = examined(stage.told)
    assert [trouble.id for trouble in step_of(report, "contents").troubles] == ["token_issuer", "token_expired"]
    assert (report.first_failure.id, report.first_failure.troubles[0].id) == ("call", "token_not_accepted")


def test_a_server_that_wants_bound_tokens_and_does_not_say_so_is_found_out(stage):
    stage.authorization_server.dpop, stage.mcp_server.dpop = "optional", "required"
    stage.mcp_server.trouble = Trouble(paths=("metadata",), without=("dpop_bound_access_tokens_required",))
    report = examined(stage.told)
    (trouble,) = report.first_failure.troubles
    assert (report.first_failure.id, trouble.id, trouble.fix.tried) == ("call", "dpop_required", True)


def test_a_call_that_asks_for_more_without_saying_what_is_told_of(stage):
    stage.mcp_server.scopes = ("mcp:read", "mcp:write")
    stage.mcp_server.challenge = ("error", "resource_metadata")
    report = examined({**stage.told, "scopes": "mcp:read"})
    assert report.first_failure.troubles[0].id == "insufficient_scope"
    assert report.first_failure.troubles[0].fix.options == {"scopes": "A B"}


# What a server says is not believed, and not repeated if it is a secret.


def test_a_server_that_repeats_what_is_secret_is_not_quoted(stage):
    secret = stage.client.secret_file.read_text().strip()
    words = {"error": "invalid_client", "error_description": f"no such secret: {secret}", "error_uri": f"urn:{secret}"}
    stage.authorization_server.trouble = Trouble(status=401, body=words)
    report = examined(stage.told)
    assert report.first_failure.troubles[0].id == "client_refused"
    assert secret not in str(report)
    assert "no such secret: ***" in report.first_failure.troubles[0].cause


def test_what_a_server_says_is_quoted_where_it_is_to_be_typed(stage):
    evil = "$(rm -rf ~)"
    stage.mcp_server.trouble = Trouble(paths=("metadata",), replace={"resource": f"{stage.mcp_server.origin}/a'b"})
    assert as_typed({"scopes": f"a {evil}"}) == f"--scopes 'a {evil}'"
    assert as_typed(the_fix(stage.told)) == f"""'{stage.mcp_server.origin}/a'"'"'b'"""
    assert as_toml({"scopes": 'a"\n[x]'}) == 'scopes = "a\\"\\n[x]"'
