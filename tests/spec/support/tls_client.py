"""A client of Python's ssl and msgpack alone: tls_client.py WHAT PORT CA [CERT KEY]

Each WHAT is a function below. The last line is "ok", or the program fails.
"""

import select
import socket
import struct
import ssl
import sys
import time

import msgpack

PATIENCE = 60


def context(ca, cert=None, key=None, version=None):
    c = ssl.create_default_context(cafile=ca)
    if cert:
        c.load_cert_chain(cert, key)
    if version:
        c.minimum_version = c.maximum_version = version
    return c


def connect(port, c):
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return c.wrap_socket(plain, server_hostname="localhost")


def request(number, method, *params):
    return msgpack.packb([0, number, method, list(params)])


class Answers:
    def __init__(self, sock):
        self.sock = sock
        self.unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)

    def next(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError("the server has ended the connection")
            self.unpacker.feed(data)


def call(sock, method, *params):
    sock.sendall(request(1, method, *params))
    kind, number, error, result = Answers(sock).next()
    assert (kind, number, error) == (1, 1, None), error
    return result


def versions(port, ca, *own):
    """Values pass over each version of TLS."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(port, context(ca, *own, version=version)) as sock:
            print(sock.version(), sock.cipher()[0], sock.compression())
            assert call(sock, "set", "py:1", sock.version()) is True
            assert call(sock, "get", "py:1") == sock.version()


def large(port, ca, *own):
    """10 MB go and come, over both versions."""
    value = bytes(range(256)) * 40960
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(port, context(ca, *own, version=version)) as sock:
            assert call(sock, "set", "py:large", value) is True
            assert call(sock, "get", "py:large") == value


def pipeline(port, ca, *own):
    """Thousands of requests are written while their answers are read."""
    count, value = 20000, b"v" * 300
    with connect(port, context(ca, *own)) as sock:
        assert call(sock, "set", "py:p", value) is True
        sock.setblocking(False)
        rest = b"".join(request(i, "get", "py:p") for i in range(count))
        unpacker, seen = msgpack.Unpacker(), set()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < count:
            assert time.monotonic() < deadline
            select.select([sock], [sock] if rest else [], [], 1)
            try:
                if rest:
                    rest = rest[sock.send(rest[:30000]):]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                while True:
                    data = sock.recv(1 << 16)
                    assert data, "the server has ended the connection"
                    unpacker.feed(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            for kind, number, error, result in unpacker:
                assert (kind, error, result) == (1, None, value)
                seen.add(number)


def half_close(port, ca, *own):
    """What was asked is answered after close_notify, which is answered by one."""
    sock = connect(port, context(ca, *own))
    sock.sendall(b"".join(request(i, "ping") for i in range(3)))
    answers = Answers(sock)
    for _ in range(3):
        assert answers.next()[2:] == [None, "pong"]
    sock.unwrap().close()
    assert last_words(port, ca, own, request(7, "ping")) == [[1, 7, None, "pong"]]


def half_close_in_auth(port, ca, *own):
    """So is what comes with the auth, and the auth, whose password takes a while to look at."""
    asked = request(1, "auth", "app", "other") + request(2, "peek", "py:none")
    answers = last_words(port, ca, own, asked)
    assert [a[:3] for a in answers] == [[1, 1, None], [1, 2, None]], answers


def last_words(port, ca, own, asked):
    """The answers to a client whose requests, close_notify and FIN arrive together."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, plain = shake(port, ca, own, into, out)
    tls.write(asked)
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    plain.sendall(out.read())
    plain.shutdown(socket.SHUT_WR)
    unpacker, said_goodbye = msgpack.Unpacker(), False
    while True:
        got = plain.recv(65536)
        if not got:
            break
        into.write(got)
        try:
            while True:
                unpacker.feed(tls.read(65536))
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            said_goodbye = True
    assert said_goodbye
    plain.close()
    return list(unpacker)


def shake(port, ca, own, into, out):
    tls = context(ca, *own).wrap_bio(into, out, server_hostname="localhost")
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    while True:
        try:
            tls.do_handshake()
            plain.sendall(out.read())
            return tls, plain
        except ssl.SSLWantReadError:
            plain.sendall(out.read())
            into.write(plain.recv(65536))


def reset(port, ca, *own):
    """Clients that reset at each point of the handshake."""
    for answered in (False, True):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(ca, *own).wrap_bio(into, out, server_hostname="localhost")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = out.read()
        for size in (1, 5, len(hello) // 2, len(hello)):
            plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
            plain.sendall(hello[:size])
            if answered and size == len(hello):
                assert plain.recv(65536)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.close()


def trickle(port, ca, *own):
    """A ClientHello that never ends, a byte at a time, until the server has enough."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, "the server waits for ever"
        if select.select([plain], [], [], 0.02)[0]:
            try:
                assert plain.recv(100) == b""
            except ConnectionResetError:
                pass
            return
        try:
            plain.sendall(b"\x00")
        except (BrokenPipeError, ConnectionResetError):
            return


def trickle_record(port, ca, *own):
    """A request whose record never ends, a byte at a time, until the server has enough."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, plain = shake(port, ca, own, into, out)
    tls.write(request(1, "set", "py:slow", b"v" * 16000))
    record, deadline = out.read(), time.monotonic() + PATIENCE
    for i in range(len(record) - 1):
        assert time.monotonic() < deadline, "the server waits for ever"
        try:
            plain.sendall(record[i:i + 1])
            if select.select([plain], [], [], 0.02)[0] and not plain.recv(65536):
                return
        except (BrokenPipeError, ConnectionResetError):
            return
    assert False, "the server took %d bytes" % len(record)


def crowd(port, ca, *own):
    """500 handshakes at once, each a step at a time, then a request on each."""
    c = context(ca, *own)
    socks = []
    for _ in range(500):
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        sock = c.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
        sock.setblocking(False)
        socks.append(sock)
    waiting = set(socks)
    deadline = time.monotonic() + PATIENCE
    while waiting:
        assert time.monotonic() < deadline, "%d handshakes are not done" % len(waiting)
        for sock in list(waiting):
            try:
                sock.do_handshake()
                waiting.discard(sock)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        if waiting:
            select.select(list(waiting), [], [], 1)
    for sock in socks:
        sock.setblocking(True)
        sock.settimeout(PATIENCE)
        sock.sendall(request(1, "ping"))
    for sock in socks:
        assert Answers(sock).next() == [1, 1, None, "pong"]
        sock.close()


def broken_record(port, ca, *own):
    """A record that was changed on its way ends the connection, and is not obeyed."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, plain = shake(port, ca, own, into, out)
    tls.write(request(1, "set", "py:forged", 1))
    record = bytearray(out.read())
    record[-1] ^= 1
    plain.sendall(record)
    while plain.recv(65536):
        pass
    plain.close()


def main():
    what, port, *rest = sys.argv[1:]
    globals()[what](int(port), *rest)
    print("ok")


main()
