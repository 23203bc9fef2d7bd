"""Whether a product does what is compared, before any figure is taken: an accepted request reached the upstream with its
caller's name, and every other one was refused. What a product cannot do is left out, and said."""

import http.client
import time

import load
from machine import say
from products import ALGORITHMS, GUARD, OPEN, TOKENS

PATIENCE = 15


def token(name):
    with open(TOKENS / f"{name}.txt", encoding="ascii") as lines:
        return lines.readline().strip()


def accepted(product, mode):
    """A token with which a product answers 202. nginx by itself only sees whether there is one."""
    if mode == OPEN:
        return None
    return "any" if product.name == "nginx" else token("ES256")


def send(port, bearer=None):
    """One request on a connection of its own: the status, and what the upstream said of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        connection.request("POST", "/send", "{}", {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("X-Upstream")
    finally:
        connection.close()


def wait_until_ready(running, bearer):
    """Waits for the first 202. Returns the seconds since the product was started, or None."""
    while time.perf_counter() < running.began + PATIENCE and running.process.poll() is None:
        try:
            if send(running.port, bearer)[0] == 202:
                return time.perf_counter() - running.began
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.0005)
    return None


def probe(product, upstream):
    """What a product can do: a set of (mode, algorithm or "h2"). Everything else is named aloud with its cause."""
    can = set()
    for mode in product.modes:
        with product.start(mode, upstream.address(product)) as running:
            some = accepted(product, mode)
            if wait_until_ready(running, some) is None:
                say(f"LEFT OUT: {product.name} ({mode}) does not answer 202: {running.complaint()}")
                continue
            if mode == OPEN:
                can.add((OPEN, None))
            elif product.name == "nginx":
                can |= _refuses(product, running, {"no token": None}, "none")
            else:
                can |= _refuses(product, running, {"no token": None}, "none")
                for alg in ALGORITHMS:
                    can |= _judges(product, running, alg)
            if product.http2 and any(able == mode for able, _ in can):
                port = running.http2_port if product.http2 == "other" else running.port
                answer = load.h2load(port, some, 1)
                if isinstance(answer, str):
                    say(f"LEFT OUT: {product.name} speaks no HTTP/2 here ({mode}).")
                else:
                    can.add((mode, "h2"))
    return can


def _judges(product, running, alg):
    status, seen = send(running.port, token(alg))
    if status != 202 or seen != "saw caller 'billing'":
        say(f"LEFT OUT: {product.name} answers a valid {alg} token with {status}, and the upstream {seen or 'saw nothing'}.")
        return set()
    wrong = {"a bad signature": token(f"bad-{alg}"), "an expired token": token(f"expired-{alg}")}
    return {(GUARD, alg)} if _refuses(product, running, wrong, alg) else set()


def _refuses(product, running, requests, what):
    for name, bearer in requests.items():
        status, seen = send(running.port, bearer)
        if status != 401 or seen is not None:
            say(f"LEFT OUT: {product.name} answers {name} ({what}) with {status}; the upstream: {seen or 'saw nothing'}.")
            return set()
    return {(GUARD, what)}
