from __future__ import annotations

import pytest
from canary import assert_hidden
from identity.stand_ins.tokens import AUDIENCE, issued

from gatepass.errors import ConfigurationError
from gatepass.identity import KubernetesToken


def test_a_token_that_the_kubelet_renews_is_read_anew(tmp_path):
    """As it does: a new directory, and a link that is replaced in one step."""
    tokens = [issued(AUDIENCE), issued(AUDIENCE)]
    for number, token in enumerate(tokens):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "token").write_text(token)
    link = tmp_path / "..data"
    link.symlink_to("..0")
    (tmp_path / "token").symlink_to("..data/token")
    source = KubernetesToken(tmp_path / "token")
    assert source(AUDIENCE) == tokens[0]
    (tmp_path / "..tmp").symlink_to("..1")
    (tmp_path / "..tmp").replace(link)
    assert source(AUDIENCE) == tokens[1]


def test_a_file_that_can_not_be_read_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="Is a directory") as caught:
        KubernetesToken(tmp_path)(AUDIENCE)
    assert caught.value.code == "workload_token_unreadable"
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"canary " * 200_000, b"canary.canary.canary"])
def test_what_stands_in_it_must_be_a_jwt(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        KubernetesToken(tmp_path / "token")(AUDIENCE)
    assert caught.value.code == "workload_token_invalid"
    assert_hidden(caught.value, "canary")


def test_the_token_of_the_api_server_is_not_given_away(tmp_path):
    (tmp_path / "token").write_text(issued(["https://kubernetes.default.svc"]))
    with pytest.raises(ConfigurationError) as caught:
        KubernetesToken(tmp_path / "token")(AUDIENCE)
    assert caught.value.code == "workload_token_audience"
    assert f"for https://kubernetes.default.svc, and one for {AUDIENCE}" in str(caught.value)


def test_where_nothing_is_mounted_it_is_none(tmp_path):
    (tmp_path / "token").symlink_to("gone")
    assert KubernetesToken(tmp_path / "token")(AUDIENCE) is None
    assert KubernetesToken(tmp_path / "token" / "deeper")(AUDIENCE) is None


def test_the_path_is_part_of_the_identity():
    assert KubernetesToken("/run/token").identity == ("Kubernetes", "path=/run/token")


@pytest.mark.parametrize("path", ["", "a\0b", 5, None])
def test_a_path_is_a_path(path):
    with pytest.raises(ConfigurationError, match="path") as caught:
        KubernetesToken(path)
    assert caught.value.code == "path_invalid"
