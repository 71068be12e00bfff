"""Authorization servers that repeat what they were sent, wherever they can."""

from __future__ import annotations

import json
import socket
import struct
from base64 import b64decode
from urllib.parse import parse_qsl

GRANTED = ("assertion", "subject_token", "code", "code_verifier", "refresh_token", "token")
"""The parameters that say what a token is asked for with, or which token is meant."""
HEAD = "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"


def headers(request):
    """The headers of a request, by name in lower case."""
    head = request.decode("latin-1").partition("\r\n\r\n")[0]
    lines = (line.split(": ", 1) for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, value in lines}


def form(request):
    """The parameters in the body of a request."""
    return dict(parse_qsl(request.decode("latin-1").partition("\r\n\r\n")[2]))


def read(request):
    """The Authorization header, the body, and the values of both once decoded, with the proof that came along."""
    said = headers(request)
    scheme, _, credentials = said.get("authorization", "").partition(" ")
    decoded = b64decode(credentials).decode() if scheme == "Basic" else credentials
    body = request.decode("latin-1").partition("\r\n\r\n")[2]
    return said.get("authorization", ""), body, [decoded, *form(request).values(), said.get("dpop", "")]


def assertion_in(request):
    """The client assertion of a token request; None if there is none."""
    return form(request).get("client_assertion")


def answer(status, body, *, kind="application/json", more=""):
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HEAD.format(status=status, kind=kind, length=len(content), more=more).encode("latin-1") + content


def refusal(request):
    authorization, body, values = read(request)
    said = {"error": authorization or body, "error_description": " ".join(values), "error_uri": body, "debug": values}
    return answer(400, said)


def refusal_of_one_value(request):
    _, _, values = read(request)
    return answer(400, {"error": "invalid_client", "error_description": max(values, key=len)})


def refusal_of_the_grant(request):
    granted = [value for name, value in form(request).items() if name in GRANTED]
    return answer(400, {"error": "invalid_grant", "error_description": " ".join(granted)})


def refusal_in_headers(request):
    authorization, body, _ = read(request)
    echo = authorization or body
    return answer(
        401, {"error": "invalid_client"}, more=f'X-Echo: {echo}\r\nWWW-Authenticate: Basic realm="{echo}"\r\n'
    )


def refusal_by_the_resource(request):
    authorization, _, values = read(request)
    said = " ".join((authorization, *values))
    echo = f'Bearer error="invalid_token", error_description="{said}", realm="{said}"'
    return answer(401, {"error": said}, more=f"WWW-Authenticate: {echo}\r\nX-Echo: {said}\r\n")


def failure(request):
    return answer(500, "\n".join(read(request)[2]), kind="text/plain")


def page(request):
    return answer(200, f"<html>{read(request)[1:]}</html>", kind="text/html")


def broken_json(request):
    return answer(200, '{"access_token": "' + read(request)[1])


def half_an_answer(request):
    return answer(200, {"access_token": read(request)[1], "token_type": "Bearer"})[:-30]


def redirect(request):
    return answer(302, "", more=f"Location: https://elsewhere.example.com/?{read(request)[1]}\r\n")


def token_of_another_type(request):
    return answer(
        200, {"access_token": read(request)[1], "token_type": read(request)[1], "expires_in": read(request)[1]}
    )


def token_of_wrong_types(request):
    return answer(200, {"access_token": [read(request)[1]], "token_type": {read(request)[1]: 1}, "expires_in": {}})


def token_that_is_no_header(request):
    return answer(200, {"access_token": f"a\r\nb {read(request)[1]}", "token_type": "Bearer"})


def another_protocol(request):
    return read(request)[1].encode() + b"\r\n"


def nothing(_request):
    return b""


ANSWERS = (
    refusal, refusal_of_one_value, refusal_of_the_grant, refusal_in_headers, failure, page, broken_json,
    half_an_answer, redirect, token_of_another_type, token_of_wrong_types, token_that_is_no_header,
    another_protocol, nothing,
)  # fmt: skip


WORST = (refusal, refusal_of_one_value, refusal_in_headers, broken_json)


def speaking_with(make):
    """For an `OddServer`: answers each request with what `make` makes of it, and hangs up."""

    def speak(connection, request, _over):
        connection.sendall(make(request))
        connection.shutdown(socket.SHUT_WR)

    return speak


def hanging(connection, _request, over):
    over.wait(30)


def resetting(connection, _request, _over):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
