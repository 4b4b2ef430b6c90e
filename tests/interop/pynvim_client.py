"""pynvim's msgpack-rpc session over TCP. Its first frame is a notification of its own."""
import sys

from pynvim.msgpack_rpc import tcp_session, socket_session

host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class RpcError(Exception):
    pass


def check(session):
    session.error_wrapper = RpcError  # Neovim's own takes errors of Neovim's shape

    def request(method, *args):
        return session.request(method, *args)

    assert request("ping") == "pong"
    assert request("set", "py:1", {"name": "Ann", "list": [1, 2, 3]}) is True
    assert request("get", "py:1") == {"name": "Ann", "list": [1, 2, 3]}
    assert request("get", b"py:1") == {"name": "Ann", "list": [1, 2, 3]}
    assert request("set", "py:bytes", b"\xff\x00\xfe") is True
    assert request("get", "user:7") == {"id": 7, "name": "user 7", "big": 9007199254740993}
    assert request("get", "absent:1") is None
    assert request("invalidate", "py:1") is True
    assert request("invalidate", "py:1") is False
    assert request("get_entry", "user:7")["status"] == "hit"
    many = request("get_many", ["user:1", "absent:2", "broken:2"])
    assert many[0]["value"]["id"] == 1
    assert many[1].get("value") is None and "error" not in many[1]
    assert "LOAD_FAILED" in many[2]["error"]
    for i in range(300):
        assert request("get", "user:%d" % i)["id"] == i
    session.request("set", "py:2", "by notification", async_=True)
    session.request("no_such_method", 1, async_=True)
    assert request("get", "py:2") == "by notification"
    try:
        request("get", "broken:1")
        raise AssertionError("an error was expected")
    except RpcError as e:
        assert "LOAD_FAILED" in str(e) and "broken on purpose" in str(e), repr(e)
    assert request("ping") == "pong"
    session.close()


check(tcp_session(host, port))
check(socket_session(path))
