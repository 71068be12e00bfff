"""Redis as it stands in production: with a Sentinel, as a cluster, behind TLS."""

from __future__ import annotations

import pytest
import redis
import valkey
from integration.patience import eventually
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_servers import HOST, fresh_prefix, redis_cluster, redis_server, sentinel_set, tls_front

from gatepass.errors import StoreError
from gatepass.stores.redis import RedisStore
from gatepass.stores.redis_scripts import COMMANDS
from gatepass.testing import Certificates, StoreContract, Tls
from gatepass.testing.store_contract import taken, value, written

KINDS = ["redis", "valkey"]
NAMES = [f"token.{number}" for number in range(20)]


@pytest.fixture(scope="module", params=KINDS)
def cluster(request, tmp_path_factory):
    with redis_cluster(tmp_path_factory.mktemp("cluster"), request.param) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with cluster.client() as client:
        yield client


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("server")) as server:
        yield server


class TestSentinel:
    @pytest.fixture(params=KINDS)
    def servers(self, request, tmp_path):
        with sentinel_set(tmp_path, request.param) as servers:
            yield servers

    def test_after_a_failover_the_store_goes_on_and_no_number_comes_twice(self, servers):
        told, fences = [0], [0]
        with servers.client() as client:
            store = RedisStore(client)

            def write():
                told.append(written(store, "token.a", b"%d" % len(told), expect=told[-1]))
                fences.append(taken(store, "token.a", "one", 30).fence)

            for _ in range(5):
                write()
            assert client.wait(2, 5000) == 2  # both replicas have it
            first = servers.primary()
            first.kill()
            with pytest.raises(StoreError) as caught:
                store.read("token.a")
            assert (caught.value.code, caught.value.retryable) == ("store_unreachable", True)

            eventually(lambda: reads(store, "token.a"), "a replica was promoted")
            assert servers.primary() is not first
            assert value(store, "token.a", told[-1]) == b"5"
            write()
        assert told == sorted(set(told))
        assert fences == sorted(set(fences))

    def test_where_no_sentinel_answers_the_text_says_whose_primary_is_looked_for(self):
        at_once = {"retry": Retry(NoBackoff(), 0)}
        with redis.Sentinel([(HOST, 1)], sentinel_kwargs=at_once).master_for("tokens", **at_once) as client:
            store = RedisStore(client)
            assert repr(store) == "RedisStore(sentinel tokens db 0, prefix='gatepass')"
            with pytest.raises(StoreError, match=r"at sentinel tokens db 0 can't be reached \(MasterNotFoundError\)"):
                store.read("token.a")


class TestCluster(StoreContract):
    @pytest.fixture
    def store(self, client, clock):
        return RedisStore(client, prefix=fresh_prefix(), clock=clock)

    def test_every_node_has_some_of_the_records_and_knows_the_scripts(self, cluster, client, store):
        client.script_flush()
        for name in NAMES:
            store.release(taken(store, name, "one", 30))
            assert value(store, name, written(store, name, name.encode(), expect=0)) == name.encode()
        assert all(client.dbsize(target_nodes=node) for node in client.get_primaries())

    def test_a_name_is_found_at_the_node_that_it_was_moved_to(self, cluster, client, store):
        slot = client.keyslot(f"{store._prefix}:token.a")
        before = client.get_node_from_key(f"{store._prefix}:token.a")
        after = next(node for node in client.get_primaries() if node.port != before.port)
        give_slot(cluster, slot, after.port)
        try:
            assert value(store, "token.a", written(store, "token.a", b"x", expect=0)) == b"x"
            assert client.get_node_from_key(f"{store._prefix}:token.a").port == after.port
            assert store.delete("token.a")
        finally:
            client.delete(f"{store._prefix}:token.a")
            give_slot(cluster, slot, before.port)

    def test_a_client_of_valkeys_finds_its_way_too(self, cluster):
        with valkey.ValkeyCluster(HOST, cluster.servers[0].port) as client:
            store = RedisStore(client, prefix=fresh_prefix())
            for name in NAMES:
                assert value(store, name, written(store, name, b"x", expect=0)) == b"x"

    def test_a_client_of_one_node_is_told_that_it_will_not_do(self, cluster):
        with (
            RedisStore(cluster.servers[0].url, prefix=fresh_prefix()) as store,
            pytest.raises(StoreError, match=r"is a cluster\. Give a redis\.RedisCluster\.") as caught,
        ):
            [store.read(name) for name in NAMES]
        assert (caught.value.code, caught.value.retryable) == ("store_failed", False)

    def test_the_least_rights_are_those_and_two_more(self, cluster):
        prefix = fresh_prefix()
        rights = [f"+{command}" for command in (*COMMANDS, "cluster|slots", "command")]
        for server in cluster.servers:
            with server.client() as client:
                client.acl_setuser(prefix, enabled=True, passwords=["+pw"], keys=[f"{prefix}:*"], commands=rights)
        with cluster.client(username=prefix, password="pw") as client:
            store = RedisStore(client, prefix=prefix)
            for name in NAMES:
                assert value(store, name, written(store, name, b"x", expect=0)) == b"x"


def test_a_cluster_that_lost_a_node_says_so(tmp_path):
    with redis_cluster(tmp_path) as cluster, cluster.client() as client:
        store = RedisStore(client)
        assert repr(store) == f"RedisStore(cluster {HOST}:{cluster.servers[0].port}, prefix='gatepass')"
        for server in cluster.servers:
            server.kill()
        with pytest.raises(StoreError, match="can't be reached") as caught:
            store.read("token.a")
        assert (caught.value.code, caught.value.retryable) == ("store_unreachable", True)


class TestTls:
    def test_a_private_authority_is_named_in_the_url(self, server, certificates):
        with tls_front(server, certificates.tls()) as url, RedisStore(f"{url}?ssl_ca_certs={certificates.ca}") as store:
            assert value(store, "token.a", written(store, "token.a", b"x" * 300_000, expect=0)) == b"x" * 300_000

    def test_an_authority_that_nobody_named_is_not_trusted(self, server, certificates):
        with (
            tls_front(server, certificates.tls()) as url,
            RedisStore(url) as store,
            pytest.raises(StoreError, match="certificate verify failed") as caught,
        ):
            store.read("token.a")
        assert caught.value.code == "store_unreachable"

    def test_a_certificate_for_another_name_is_not_taken(self, server, certificates):
        of_a_client = Tls(certificate=certificates.client("ci-bot"))
        with (
            tls_front(server, of_a_client) as url,
            RedisStore(f"{url}?ssl_ca_certs={certificates.ca}") as store,
            pytest.raises(StoreError, match="certificate verify failed") as caught,
        ):
            store.read("token.a")
        assert caught.value.code == "store_unreachable"

    def test_a_client_certificate_is_shown_where_one_is_asked_for(self, server, certificates):
        client = certificates.client("ci-bot")
        with tls_front(server, certificates.tls("required")) as url:
            trusting = f"{url}?ssl_ca_certs={certificates.ca}"
            with RedisStore(f"{trusting}&ssl_certfile={client}&ssl_keyfile={client}", prefix=fresh_prefix()) as store:
                assert value(store, "token.a", written(store, "token.a", b"x", expect=0)) == b"x"
            with RedisStore(trusting) as store, pytest.raises(StoreError, match="can't be reached"):
                store.read("token.a")


def give_slot(cluster, slot, port):
    """Move a slot that holds nothing to the node at that port, and tell every node."""
    (its_id,) = [node_id(server) for server in cluster.servers if server.port == port]
    for server in cluster.servers:
        with server.client() as node:
            node.execute_command("CLUSTER SETSLOT", slot, "NODE", its_id)


def node_id(server):
    with server.client() as node:
        return node.execute_command("CLUSTER MYID")


def reads(store, name):
    """Whether the store can be read by now; until then its failures say that they pass."""
    try:
        return store.read(name) is not None
    except StoreError as failure:
        if not failure.retryable:
            raise
        return False
