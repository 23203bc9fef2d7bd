#!/usr/bin/env python3
"""Plays with the email service behind Callgate in a pod. To be started by run.sh, in a network namespace of its own."""

import base64
import http.client
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from beside import Beside, wait
from load import Load
from names import NAME, Named
from pod import ROOT, Pod, changed, helm, render

HERE = ROOT / "tests/e2e"
# How long the application goes on after the pod has left its Service: preStop of deploy/example/protected, shortened.
PRE_STOP_S = 3
ENDPOINTS_LAG_S = 1


def send(address: str, token: str | None, subject: str, **headers: str) -> tuple[int, dict, dict]:
    """Status, headers and body of the answer to a mail."""
    connection = http.client.HTTPConnection(address, 8080, timeout=10)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"to": "somebody@mail.example", "subject": subject, "text": "Hello."})
    connection.request("POST", "/send", body, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, answer


def get(address: str, port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    connection.request(method, path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def wait_ready(pod: Pod) -> None:
    """As the kubelet does: the sidecar's keys, and the service through the sidecar."""
    wait(f"{pod.name} ready", lambda: get(pod.address, 9901, "/readyz")[0] == 200)
    wait(f"{pod.name} healthy", lambda: get(pod.address, 8080, "/healthz")[0] == 200)


def subjects(beside: Beside) -> list[str]:
    return [mail["subject"] for mail in beside.mails()]


def accesses(pod: Pod, what: str = "POST /send") -> list[str]:
    """The lines of the service's own access log, without the probes."""
    return [line for line in pod.logs("email") if '"access"' in line and what in line]


class Play:
    def __init__(self, beside: Beside) -> None:
        self.beside = beside
        self.pods: list[Pod] = []

    def start(self, manifest: str, deployment: str) -> Pod:
        number = len(self.pods) + 2
        pod = Pod(manifest, deployment, f"198.51.100.{number}", number)
        self.pods.append(pod)
        return pod

    def a_mail_with_a_token_arrives_and_the_service_knows_its_caller(self) -> None:
        self.pod = self.start(render(HERE / "pod"), "email")
        wait_ready(self.pod)
        status, _, body = send(self.pod.address, self.beside.token(), "With a token", **{"X-Caller-Service": "root"})
        assert status == 202, (status, body)
        assert subjects(self.beside) == ["With a token"], self.beside.mails()
        assert accesses(self.pod)[-1].find("POST /send 202 caller=billing") > 0, accesses(self.pod)
        record = self.pod.audit()[-1]
        assert (record["decision"], record["caller"], record["status"]) == ("forward", "billing", 202), record

    def without_a_good_token_there_is_no_mail(self) -> None:
        seen = len(accesses(self.pod))
        status, headers, body = send(self.pod.address, None, "Without")
        assert (status, body["reason"], headers["www-authenticate"]) == (401, "token_missing", 'Bearer realm="email-service"')
        elsewhere = self.beside.token(service="another-service")
        status, headers, body = send(self.pod.address, elsewhere, "For somebody else")
        assert (status, body["reason"]) == (401, "audience_mismatch"), body
        assert 'error="invalid_token"' in headers["www-authenticate"], headers
        head, claims, _ = self.beside.token().split(".")
        status, _, body = send(self.pod.address, f"{head}.{claims}.{'A' * 86}", "Forged")
        assert (status, body["reason"]) == (401, "signature_invalid"), body
        assert subjects(self.beside) == ["With a token"], self.beside.mails()
        assert len(accesses(self.pod)) == seen, accesses(self.pod)
        assert [record["reason"] for record in self.pod.audit()[-3:]] == ["token_missing", "audience_mismatch", "signature_invalid"]

    def nobody_reaches_the_service_around_the_sidecar(self) -> None:
        assert self.pod.listening() == {"0.0.0.0:8080", "0.0.0.0:9901", "127.0.0.1:3000"}, self.pod.listening()
        with socket.socket() as around:
            around.settimeout(5)
            assert around.connect_ex((self.pod.address, 3000)) != 0
        assert get(self.pod.address, 9901, "/drain", "POST")[0] == 403

    def the_sidecar_has_no_rights(self) -> None:
        status = Path(f"/proc/{self.pod.pid('callgate')}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == ["65532"] * 4, facts["Uid"]
        assert int(facts["CapBnd"], 16) == 0 and facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2", facts
        mounts = Path(f"/proc/{self.pod.pid('callgate')}/mountinfo").read_text().splitlines()
        root = next(line.split() for line in mounts if line.split()[4] == "/")
        assert root[5].split(",")[0] == "ro", root
        config = next(line.split() for line in mounts if line.split()[4] == "/etc/callgate")
        assert config[5].split(",")[0] == "ro", config

    def keys_rotate_without_a_refused_request(self) -> None:
        old = self.beside.token()
        load = Load(2, lambda: self.pod.address, self.beside.token)
        self.beside.keys("add")
        wait("two keys", lambda: len(self.beside.published()) == 2)
        self.beside.keys("use")
        wait("the new key to sign", lambda: kid(self.beside.token()) != kid(old))
        status, _, body = send(self.pod.address, self.beside.token(), "New key")
        assert status == 202, body
        assert send(self.pod.address, old, "Old key")[0] == 202
        self.beside.keys("drop")
        wait("one key", lambda: len(self.beside.published()) == 1)
        wait("the old key to be gone", lambda: send(self.pod.address, old, "Old")[2].get("reason") == "key_unknown")
        answers = load.stop()
        assert set(answers) == {"202"}, answers
        print(f"   {answers['202']} mails meanwhile, every one with 202")

    def a_changed_configmap_rolls_out_and_a_wrong_one_does_not(self) -> None:
        text = (HERE / "pod/sidecar.toml").read_text()
        wrong = changed(HERE / "pod", "wrong-", text.replace("audiences", "audience"))
        assert configmap(wrong) not in (configmap(render(HERE / "pod")), None)
        pod = self.start(wrong, "wrong-email")
        wait("its exit", lambda: pod.state(pod.container("callgate"))["ExitCode"] == 78)
        assert any("audiences" in line for line in pod.logs("callgate")), pod.logs("callgate")
        pod.remove()
        assert send(self.pod.address, self.beside.token(), "The old pod goes on")[0] == 202

        both = text.replace('["email-service"]', '["email-service", "mail"]')
        self.next = self.start(changed(HERE / "pod", "next-", both), "next-email")
        wait_ready(self.next)
        renamed = self.beside.token(service="mail")
        assert send(self.pod.address, renamed, "Before")[2]["reason"] == "audience_mismatch"
        assert send(self.next.address, renamed, "After")[0] == 202

    def a_pod_stops_under_load_without_a_failed_request(self) -> None:
        """A roll-out's end: the next pod is ready, the old one goes. What kubelet and Service do is played here: the hooks of both
        containers at once, the Service a little later, then the application, then the sidecar."""
        service = {"address": self.pod.address}
        token = self.beside.token()
        load = Load(8, lambda: service["address"], lambda: token)
        wait("load", lambda: load.sent() > 200)
        self.pod.run_pre_stop()
        time.sleep(ENDPOINTS_LAG_S)
        service["address"] = self.next.address
        time.sleep(PRE_STOP_S - ENDPOINTS_LAG_S)
        app = self.pod.stop("email", 20)
        sidecar = self.pod.stop("callgate", 30)
        before = load.sent()
        wait("load on the next pod", lambda: load.sent() > before + 200)
        answers = load.stop()
        print(f"   {dict(answers)}; the service ended in {app:.1f} s, Callgate in {sidecar:.1f} s")
        assert set(answers) == {"202"}, answers
        for name in ("email", "callgate"):
            state = self.pod.state(self.pod.container(name))
            assert not state["OOMKilled"] and state["ExitCode"] in (0, 143), (name, state)
        assert self.pod.state(self.pod.container("callgate"))["ExitCode"] == 0
        self.pod.remove()
        self.next.remove()

    def over_a_unix_socket_the_service_has_no_port(self) -> None:
        pod = self.start(render(HERE / "pod-unix-socket"), "email")
        wait_ready(pod)
        assert pod.listening() == {"0.0.0.0:8080", "0.0.0.0:9901"}, pod.listening()
        assert send(pod.address, self.beside.token("reports"), "Over a socket")[0] == 202
        assert accesses(pod)[-1].find("caller=reports") > 0, accesses(pod)
        os.kill(pod.pid("email"), signal.SIGKILL)
        wait("its restart", lambda: send(pod.address, self.beside.token(), "After a crash")[0] == 202)
        assert "After a crash" in subjects(self.beside)
        pod.remove()

    def the_helm_chart_makes_the_same_pod(self) -> None:
        pod = self.start(helm(HERE / "podman", (HERE / "pod/sidecar.toml").read_text()), "email")
        wait_ready(pod)
        assert pod.listening() == {"0.0.0.0:8080", "0.0.0.0:9901", "127.0.0.1:3000"}, pod.listening()
        assert send(pod.address, self.beside.token("reports"), "By Helm")[0] == 202
        assert accesses(pod)[-1].find("caller=reports") > 0, accesses(pod)
        status, _, body = send(pod.address, None, "By Helm, without")
        assert (status, body["reason"]) == (401, "token_missing"), body
        assert subjects(self.beside)[-1] == "By Helm"
        pod.remove()

    def the_image_resolves_names(self) -> None:
        text = (HERE / "pod/sidecar.toml").read_text()
        discovery = "discovery = true"
        assert discovery in text
        named = Named(text.replace(discovery, f'url = "http://{NAME}:4000/jwks"'))
        try:
            wait("its keys", lambda: get("127.0.0.1", 9901, "/readyz")[0] == 200, 10)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{named.log.read_text()}") from None
        finally:
            named.end()


def kid(token: str) -> str:
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def configmap(manifest: str) -> str | None:
    names = [line.split()[1] for line in manifest.splitlines() if line.startswith("  name: ") and "callgate-" in line]
    return names[0] if names else None


def main() -> int:
    beside = Beside()
    play = Play(beside)
    scenes = [scene for name, scene in vars(Play).items() if callable(scene) and not name.startswith("__") and name != "start"]
    failed = 0
    try:
        for scene in scenes:
            print(f"-- {scene.__name__.replace('_', ' ')}", flush=True)
            scene(play)
    except Exception as error:  # The scenes build on each other: the first failure ends the play.
        failed = 1
        print(f"   FAILED: {type(error).__name__}: {error}", flush=True)
        for pod in play.pods[-1:]:
            for container in ("callgate", "email"):
                print(f"   last lines of {container} in {pod.name}:", *pod.logs(container)[-8:], sep="\n     ")
    finally:
        for pod in play.pods:
            pod.remove()
        beside.end()
    print(f"e2e: {scenes.index(scene) + 1 - failed} passed, {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
