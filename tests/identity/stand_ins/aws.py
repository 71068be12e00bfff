"""AWS STS, in the query protocol: a form in, XML out."""

from __future__ import annotations

from identity.stand_ins.place import ECHO, HttpPlace, Request
from wire import response

from gatepass.identity import AwsWebIdentity

ACCESS_KEY, SECRET_KEY, SESSION = "AKIAIOSFODNN7EXAMPLE", "canary-secret-access-key", "canary-session-token"
XML = b"Content-Type: text/xml"
SPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class Sts(HttpPlace):
    kind = AwsWebIdentity
    extra, library = "aws", "boto3.session"
    secrets = (SECRET_KEY, SESSION)
    code = "AccessDenied"

    def move_in(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.assumed: list[str] = []
        self.environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        self.environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        self.environment.setenv("AWS_SESSION_TOKEN", SESSION)
        self.environment.setenv("AWS_REGION", "eu-central-1")
        self.environment.setenv("AWS_ENDPOINT_URL_STS", f"http://{self.wire.where}")

    def reply(self, request: Request) -> bytes:
        if request.form["Action"] == "AssumeRoleWithWebIdentity":
            return self.assume(request.form["WebIdentityToken"])
        signed = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"
        if not request.headers.get("authorization", "").startswith(signed):
            return response(self.refusal(403), XML, status=b"403 Forbidden")
        if request.form["Action"] != "GetWebIdentityToken" or request.form["Version"] != "2011-06-15":
            return response(status=b"404 Not Found")
        self.forms.append(request.form)
        token = self.token(request.form["Audience.member.1"])
        body = f"""<GetWebIdentityTokenResponse xmlns="{SPACE}"><GetWebIdentityTokenResult>
            <WebIdentityToken>{token}</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration>
            </GetWebIdentityTokenResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
            </GetWebIdentityTokenResponse>"""
        return response(body.encode(), XML)

    def assume(self, token: str) -> bytes:
        """Credentials for a role, as EKS needs them first."""
        self.assumed.append(token)
        body = f"""<AssumeRoleWithWebIdentityResponse xmlns="{SPACE}"><AssumeRoleWithWebIdentityResult><Credentials>
            <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>
            <SessionToken>{SESSION}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
            <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/bot/1</Arn>
            <AssumedRoleId>1:1</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult>
            <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"""
        return response(body.encode(), XML)

    def refusal(self, status: int) -> bytes:
        who = "Sender" if status < 500 else "Receiver"
        return f"""<ErrorResponse xmlns="{SPACE}"><Error><Type>{who}</Type><Code>{self.code}</Code>
            <Message>{ECHO.decode()}</Message></Error><RequestId>1</RequestId></ErrorResponse>""".encode()
