#!/usr/bin/env python3
"""Does what deploy/systemd/README.md says, word for word, in the container that run.sh boots, and sends mails through it."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

README = Path("deploy/systemd/README.md").read_text()
SIDECAR = Path("/etc/callgate/email/sidecar.toml")
ISSUER = "http://127.0.0.1:4000"


def run(command: str, code: int = 0) -> str:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def wait(what: str, condition, seconds: float = 30):
    """The condition's first true value; errors count as false."""
    until, problem = time.monotonic() + seconds, None
    while time.monotonic() < until:
        try:
            if value := condition():
                return value
        except (OSError, AssertionError, urllib.error.URLError) as error:
            problem = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s ({problem})")


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def ready() -> bool:
    with urllib.request.urlopen("http://127.0.0.1:9901/readyz", timeout=5) as answer:
        return answer.status == 200


def send(token: str | None, subject: str) -> tuple[int, dict]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return ask("http://127.0.0.1:8080/send", json.dumps({"to": "you@mail.example", "subject": subject, "text": "Hello."}).encode(), **headers)


def journal(unit: str) -> list[str]:
    return run(f"journalctl --unit {unit} --output cat --no-pager").splitlines()


def audit() -> list[dict]:
    return [json.loads(line) for line in journal("callgate@email") if line.startswith('{"time"') and '"event":"request"' in line]


def shell(part: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", part, re.M | re.S)


class Play:
    def the_pages_commands_install_and_start_it(self) -> None:
        install, start = shell(README)
        # A user for the service, the service, and what stands beside it.
        Path("/etc/sysusers.d").mkdir(parents=True, exist_ok=True)
        Path("/etc/sysusers.d/email.conf").write_text("u email -\n")
        run("systemd-sysusers")
        run("systemd-run --unit issuer --setenv KEYS_FILE=/tmp/keys.json --setenv CLIENTS=billing=a-secret /callgate/node /callgate/examples/issuer/issuer.js")
        run(f"systemd-run --unit mails {os.environ['PYTHON']} /callgate/examples/smtp-sink.py")
        run("cp tests/systemd/email.service /etc/systemd/system/email.service")

        run(install)
        # "Write your issuer and your audience."
        text = SIDECAR.read_text()
        assert "https://auth.internal.example" in text
        SIDECAR.write_text(text.replace("https://auth.internal.example", ISSUER).replace("discovery = true", 'discovery = true, refresh = "5s"'))
        # The drop-ins of "The service's side", each under the name that its first line says.
        side = README.split("## The service's side")[1].split("\n## ")[0]
        drop_ins = re.findall(r"^```ini\n# (/etc/\S+)\n(.*?)^```$", side, re.M | re.S)
        assert len(drop_ins) == 2, drop_ins
        for name, content in drop_ins:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content)
        run(start)
        run("systemctl start email")
        wait("the keys", ready)
        wait("the socket", lambda: Path("/run/email/email.sock").is_socket())

    def a_mail_with_a_token_arrives_and_one_without_does_not(self) -> None:
        self.token = run("LISTEN=127.0.0.1:4000 CLIENTS=billing=a-secret ./node examples/issuer/token.js").strip()
        status, body = wait("the service", lambda: (answer := send(self.token, "With a token"))[0] != 502 and answer)
        assert status == 202, body
        status, body = send(None, "Without")
        assert (status, body["reason"]) == (401, "token_missing"), body
        assert [mail["subject"] for mail in ask("http://127.0.0.1:8025")[1]] == ["With a token"]
        assert any("POST /send 202 caller=billing" in line for line in journal("email")), journal("email")
        records = wait("the records", lambda: (found := audit()) and len(found) >= 2 and found)
        assert [(record["decision"], record["reason"]) for record in records[-2:]] == [("forward", None), ("reject", "token_missing")], records

    def nobody_gets_around_it(self) -> None:
        listening = run("ss --listening --tcp --numeric --no-header --processes")
        assert "node" not in "".join(line for line in listening.splitlines() if ":4000" not in line), listening
        # Its directory is for the service's group alone.
        refused = "setpriv --reuid 65534 --regid 65534 --clear-groups test -S /run/email/email.sock"
        run(refused, 1)
        run(refused.replace("--clear-groups", "--groups \"$(getent group email | cut -d : -f 3)\""))

    def it_has_no_rights(self) -> None:
        pid = run("systemctl show --property MainPID --value callgate@email").strip()
        facts = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert "0" not in facts["Uid"].split(), facts["Uid"]
        assert int(facts["CapBnd"], 16) == 0 and facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2", facts
        mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        root = next(line.split() for line in mounts if line.split()[4] == "/")
        assert "ro" in root[5].split(","), root
        assert not Path(f"/proc/{pid}/root/home").exists() or not os.listdir(f"/proc/{pid}/root/home")

    def a_changed_file_is_taken_over_and_a_wrong_one_is_not(self) -> None:
        reload = re.search(r"`(callgate reload [^`]+)`", README)[1]
        text = SIDECAR.read_text()
        SIDECAR.write_text(text.replace('["email-service"]', '["another-service"]'))
        run(reload)
        status, body = send(self.token, "For somebody else")
        assert (status, body["reason"]) == (401, "audience_mismatch"), body
        SIDECAR.write_text(text.replace("audiences", "audience"))
        refused = subprocess.run(reload.split(), capture_output=True, text=True, timeout=30)
        assert refused.returncode != 0 and "audiences" in refused.stdout + refused.stderr, refused
        assert send(self.token, "Still for somebody else")[1]["reason"] == "audience_mismatch"
        # "A configuration with errors ends the unit with exit code 78, and it is not started again."
        run("systemctl restart callgate@email")
        state = wait("its end", lambda: (shown := run("systemctl show --property ActiveState,ExecMainStatus,NRestarts callgate@email"))
                     and "ActiveState=failed" in shown and shown)
        assert "ExecMainStatus=78" in state and "NRestarts=0" in state, state
        SIDECAR.write_text(text)
        run("systemctl restart callgate@email")
        wait("the keys", ready)
        assert send(self.token, "Again")[0] == 202

    def keys_of_before_serve_a_restart_while_the_issuer_is_down(self) -> None:
        run("systemctl stop issuer")
        run("systemctl restart callgate@email")
        wait("the keys of before", ready)
        assert send(self.token, "Without the issuer")[0] == 202

    def it_stops_without_an_error(self) -> None:
        run(re.search(r"`(callgate drain [^`]+)`", README)[1])
        run("systemctl stop callgate@email")
        assert run("systemctl show --property Result,ExecMainStatus callgate@email").split() == ["Result=success", "ExecMainStatus=0"]


def main() -> int:
    play = Play()
    scenes = [scene for name, scene in vars(Play).items() if callable(scene) and not name.startswith("__")]
    failed = 0
    try:
        for scene in scenes:
            print(f"-- {scene.__name__.replace('_', ' ')}", flush=True)
            scene(play)
    except Exception as error:  # The scenes build on each other: the first failure ends the play.
        failed = 1
        print(f"   FAILED: {type(error).__name__}: {error}", flush=True)
        for unit in ("callgate@email", "email", "issuer"):
            print(f"   last lines of {unit}:", *journal(unit)[-8:], sep="\n     ")
    print(f"systemd: {scenes.index(scene) + 1 - failed} passed, {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
