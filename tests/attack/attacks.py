"""The attacks: what somebody does who has nothing but a way to the port. Each is a coroutine that goes on until it is cancelled, and
counts what it has spent."""

import asyncio
import base64
import contextlib
import json
import os

import frames

ISSUER = "https://auth.internal.example"
HANGING = "https://hangs.internal.example"

# A kind of frame that nobody knows (RFC 9113 §5.5).
UNKNOWN = 0x63


class Cost:
    """What an attack has spent, and what was seen beside it on its own connections."""

    def __init__(self):
        self.connections = self.bytes = self.requests = 0
        self.beside = [0, 0]

    def text(self):
        size = f"{self.bytes / 1024:.0f} KiB" if self.bytes < 1 << 20 else f"{self.bytes / (1 << 20):.1f} MiB"
        requests = f", {self.requests} requests" if self.requests else ""
        return f"{self.connections} connections{requests}, {size}"


class Peer:
    """One connection of the attacker's."""

    def __init__(self, stage, cost):
        self.stage, self.cost, self.reader, self.writer = stage, cost, None, None

    async def open(self, port=None, limit=65536):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port or self.stage.port, limit=limit)
        self.cost.connections += 1
        return self

    async def send(self, data):
        self.cost.bytes += len(data)
        self.writer.write(data)
        await self.writer.drain()

    async def open_http2(self, **settings):
        await self.open()
        await self.send(frames.opening(**settings))
        return self

    def is_open(self):
        return self.writer is not None and not self.writer.is_closing() and not self.reader.at_eof()

    def close(self):
        if self.writer:
            self.writer.transport.abort()


async def each(count, behave, pause=0.0):
    """Runs so many attackers side by side. One that is turned away comes again."""

    async def again(number):
        while True:
            try:
                await behave(number)
            except (OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(0.05 + pause)

    await asyncio.gather(*(again(number) for number in range(count)))


async def drain(peer):
    """Reads and forgets until the other side closes, or breaks off."""
    with contextlib.suppress(OSError):
        while await peer.reader.read(65536):
            pass


def part(value):
    """A part of a token."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unsigned(issuer, kid):
    """A token that nobody has signed."""
    header = json.dumps({"alg": "ES256", "kid": kid}).encode()
    claims = {"iss": issuer, "aud": "email-service", "sub": "billing", "iat": 1, "exp": 4102444800}
    return f"{part(header)}.{part(json.dumps(claims).encode())}.{part(os.urandom(64))}"


async def header_bombs(stage, cost):
    """1 KiB of references decodes to 900 fields; the window is 0, so the refusals cannot be written."""
    bomb = frames.request(more=frames.field("a", "", indexed=True) + frames.REFERENCE * 900)

    async def behave(_):
        peer = await Peer(stage, cost).open_http2(initial_window_size=0)
        for number in range(100):
            await peer.send(frames.headers(2 * number + 1, bomb))
            cost.requests += 1
        await asyncio.wait_for(drain(peer), 30)

    await each(100, behave, pause=5)


async def unread_refusals(stage, cost):
    """Refused streams whose answers cannot be written: the window is 0."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2(initial_window_size=0)
        for number in range(100):
            await peer.send(frames.headers(2 * number + 1, frames.request()))
            cost.requests += 1
        await asyncio.wait_for(drain(peer), 30)

    await each(22, behave, pause=1)


async def reset_streams(stage, cost):
    """One connection opens a stream with an unknown key each 10 ms, and resets it."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        reading = asyncio.create_task(drain(peer))
        for number in range(1 << 20):
            token = unsigned(ISSUER, f"unknown-{number}")
            stream = 2 * number + 1
            await peer.send(frames.headers(stream, frames.request("POST", "/send", token)) + frames.reset(stream))
            cost.requests += 1
            await asyncio.sleep(0.01)
            if reading.done():
                return

    await each(1, behave)


async def hanging_issuer(stage, cost):
    """Unsigned tokens name an issuer whose key endpoint takes connections and never answers: 900 a second."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        reading = asyncio.create_task(drain(peer))
        for number in range(1 << 20):
            block = frames.request("POST", "/send", unsigned(HANGING, "k"))
            await peer.send(frames.headers(2 * number + 1, block))
            cost.requests += 1
            await asyncio.sleep(18 / 900)
            if reading.done():
                return

    await each(18, behave)


async def slow_bodies(stage, cost):
    """Bodies on a public route that come a byte at a time."""

    async def behave(_):
        peer = await Peer(stage, cost).open()
        await peer.send(b"POST /public HTTP/1.1\r\nHost: email\r\nContent-Length: 1000\r\n\r\n")
        cost.requests += 1
        reading = asyncio.create_task(drain(peer))
        while not reading.done():
            await peer.send(b"x")
            await asyncio.sleep(5)
        peer.close()

    await each(1030, behave)


async def silent_connections(stage, cost):
    """As many connections as may be open, and not a byte on any."""

    async def behave(_):
        peer = await Peer(stage, cost).open()
        await drain(peer)
        peer.close()

    await each(stage.connections, behave)


async def unfinished_heads(stage, cost):
    """Heads of 31 KiB whose end never comes."""
    head = b"GET / HTTP/1.1\r\nHost: email\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(62))

    async def behave(_):
        peer = await Peer(stage, cost).open()
        await peer.send(head)
        await drain(peer)
        peer.close()

    await each(4000, behave)


async def beside(stage, cost, spoil, path="/send"):
    """On one connection of HTTP/2: a good request, and something bad before its body. It should be answered all the same."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        try:
            # After the server has said how much may be sent on the connection.
            await asyncio.sleep(0.3)
            stream = 1
            await peer.send(frames.headers(stream, frames.request("POST", path, stage.token), end=False))
            await spoil(peer)
            # After the bad streams have arrived.
            await asyncio.sleep(0.3)
            for end in (False, True):
                await peer.send(frames.data(stream, b"x" * 16_000, end=end))
            status = await asyncio.wait_for(answer_of(peer, stream), 5)
            cost.beside[0] += status == 202
            cost.beside[1] += 1
        except (asyncio.TimeoutError, OSError, asyncio.IncompleteReadError):
            cost.beside[1] += 1
        finally:
            peer.close()

    await each(4, behave, pause=0.5)


async def answer_of(peer, stream):
    while True:
        kind, _, found, payload = await frames.read(peer.reader)
        if kind == frames.HEADERS and found == stream:
            return frames.status(payload)
        if kind == frames.RST_STREAM and found == stream:
            return 0


async def unread_uploads(stage, cost):
    """Two uploads that the service does not read fill their windows; a third on the same connection should pass."""

    async def spoil(peer):
        for stream in (3, 5):
            await peer.send(frames.headers(stream, frames.request("POST", "/unread", stage.token), end=False))
            for _ in range(4):
                await peer.send(frames.data(stream, b"x" * 16_000))
            cost.requests += 1

    await beside(stage, cost, spoil)


async def malformed_requests(stage, cost):
    """33 requests without a path on one connection; a good one that has begun on it should pass."""

    async def spoil(peer):
        for number in range(33):
            block = frames.field(":method", "GET") + frames.field(":scheme", "http")
            await peer.send(frames.headers(2 * number + 3, block))
            cost.requests += 1

    await beside(stage, cost, spoil)


async def refused_requests(stage, cost):
    """Refused requests of HTTP/2, as fast as they are answered. Nobody reads the audit."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        for start in range(0, 1 << 20, 64):
            block = b"".join(frames.headers(2 * n + 1, frames.request()) for n in range(start, start + 64))
            await peer.send(block)
            cost.requests += 64
            answered = 0
            while answered < 64:
                kind, _, _, _ = await frames.read(peer.reader)
                answered += kind in (frames.HEADERS, frames.RST_STREAM)
                if kind == frames.GOAWAY:
                    return

    await each(8, behave)


async def pipelined_requests(stage, cost):
    """Refused requests of HTTP/1, sent without waiting for an answer. Those that are answered count."""
    block = b"GET / HTTP/1.1\r\nHost: email\r\n\r\n" * 256

    async def count(peer):
        rest = b""
        while piece := await peer.reader.read(65536):
            answers = (rest + piece).split(b"HTTP/1.1 401 ")
            cost.requests += len(answers) - 1
            rest = answers[-1][-16:]

    async def behave(_):
        peer = await Peer(stage, cost).open()
        reading = asyncio.create_task(count(peer))
        while not reading.done():
            await peer.send(block)

    await each(100, behave)


async def control_frames(stage, cost):
    """Frames of HTTP/2 that carry no request, without an end. What they are answered is not read."""
    frame = frames.frame
    mixed = frame(frames.PING, 0, 0, bytes(8)) + frames.settings(initial_window_size=1) + frame(frames.PRIORITY, 0, 1, bytes(3) + b"\3\0")
    block = (mixed + frame(UNKNOWN, 0, 0, bytes(8))) * 200

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        while peer.is_open():
            await peer.send(block)

    await each(100, behave)


async def reset_at_once(stage, cost):
    """Rapid reset: streams without a token, each reset at once."""

    async def behave(_):
        peer = await Peer(stage, cost).open_http2()
        reading = asyncio.create_task(drain(peer))
        for start in range(0, 1 << 20, 64):
            if reading.done():
                return
            streams = range(2 * start + 1, 2 * start + 129, 2)
            await peer.send(b"".join(frames.headers(stream, frames.request()) + frames.reset(stream) for stream in streams))
            cost.requests += 64

    await each(100, behave)


async def forged_signatures(stage, cost):
    """Tokens of the issuer's with a known key and another signature, one after another on many connections."""
    head, claims, _ = stage.token.split(".")

    async def behave(_):
        peer = await Peer(stage, cost).open()
        while True:
            token = f"{head}.{claims}.{part(os.urandom(64))}"
            await peer.send(f"GET / HTTP/1.1\r\nHost: email\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            await peer.reader.readuntil(b"}\n")
            cost.requests += 1

    await each(200, behave)


async def failing_requests(stage, cost):
    """Public requests at which the service breaks off. Nobody reads the log."""

    async def behave(_):
        peer = await Peer(stage, cost).open()
        await peer.send(b"GET /drop HTTP/1.1\r\nHost: email\r\n\r\n")
        cost.requests += 1
        await drain(peer)
        peer.close()

    await each(20, behave)


async def silent_admin(stage, cost):
    """Connections to the admin port that say nothing."""

    async def behave(_):
        peer = await Peer(stage, cost).open(stage.admin)
        await drain(peer)
        peer.close()

    await each(64, behave)


# Name, attack, and what the stage has to be like.
ATTACKS = [
    ("header bombs (HPACK), window 0", header_bombs, {}),
    ("refused streams, window 0", unread_refusals, {}),
    ("streams reset, key unknown", reset_streams, {}),
    ("tokens of an issuer that hangs", hanging_issuer, {"hanging": True}),
    ("slow bodies, public route", slow_bodies, {}),
    ("silent connections", silent_connections, {}),
    ("unfinished heads of 31 KiB", unfinished_heads, {}),
    ("unread uploads, HTTP/2", unread_uploads, {}),
    ("malformed requests, HTTP/2", malformed_requests, {}),
    # Callers wait for the audit by choice (`when_full`), so only survival counts.
    ("refusals, audit unread (wait)", refused_requests, {"audit": "wait"}),
    ("refusals, audit unread (drop)", refused_requests, {"audit": "drop"}),
    ("refusals, pipelined", pipelined_requests, {}),
    ("forged signatures", forged_signatures, {}),
    ("control frames, HTTP/2", control_frames, {}),
    ("streams reset at once", reset_at_once, {}),
    ("failures, log unread", failing_requests, {"unread_log": True}),
    ("silent admin connections", silent_admin, {}),
]
