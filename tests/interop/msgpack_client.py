"""MessagePack-RPC by hand over python3-msgpack: pipelining, ids of every size, str and bin."""
import socket
import sys

import msgpack

host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.unpacker = msgpack.Unpacker(raw=False)

    def send(self, *messages):
        self.sock.sendall(b"".join(msgpack.packb(m) for m in messages))

    def receive(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.sock.recv(65536)
            assert data, "the connection ended"
            self.unpacker.feed(data)

    def call(self, msgid, method, *params):
        self.send([0, msgid, method, list(params)])
        kind, answered, error, result = self.receive()
        assert (kind, answered) == (1, msgid)
        return error, result


def check(sock):
    c = Client(sock)
    for msgid in (0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1):
        assert c.call(msgid, "ping") == (None, "pong")
    assert c.call(1, b"ping") == (None, "pong")
    assert c.call(2, "set", "msgpack:text", "Grüße") == (None, True)
    assert c.call(3, "get", "msgpack:text".encode()) == (None, "Grüße")
    assert c.call(4, "set", b"msgpack:\xff", b"\xff\x00\xfe") == (None, True)
    assert c.call(5, "get", b"msgpack:\xff") == (None, b"\xff\x00\xfe")
    exact = {"least": -2**63, "most": 2**64 - 1, "f": 0.1, "n": None, "l": [1, [2, [3]]], "b": b"\x00"}
    assert c.call(6, "set", "msgpack:exact", exact) == (None, True)
    assert c.call(7, "get", "msgpack:exact") == (None, exact)
    moment = msgpack.ExtType(5, b"12345")
    assert c.call(8, "set", "msgpack:ext", moment) == (None, True)
    assert c.call(9, "get", "msgpack:ext") == (None, moment)
    assert c.call(10, "invalidate", "msgpack:ext") == (None, True)
    assert c.call(11, "peek", "msgpack:ext") == (None, None)
    error, result = c.call(12, "get", "broken:1")
    assert result is None and error.startswith("LOAD_FAILED ") and "broken on purpose" in error
    c.send(*[[0, i, "get", ["user:%d" % i]] for i in range(1000)])
    answers = {}
    while len(answers) < 1000:
        _, msgid, error, result = c.receive()
        assert error is None
        answers[msgid] = result["id"]
    assert answers == {i: i for i in range(1000)}
    c.send([2, "set", ["msgpack:noted", 1]], [2, "nonsense", []], [0, 99, "get", ["msgpack:noted"]])
    assert c.receive() == [1, 99, None, 1]


check(socket.create_connection((host, port)))
local = socket.socket(socket.AF_UNIX)
local.connect(path)
check(local)
