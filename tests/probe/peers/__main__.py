"""Runs `callgate probe` against other products that stand before the same service, with the same key and token, each configured as
its own documentation says (the files beside this one). Prints one table by class; --document FILE puts it into that page."""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import upstream

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BEGIN, END = "<!-- begin probe -->\n", "<!-- end probe -->\n"
CLASSES = ["no token", "signature", "algorithm", "header", "claims", "form", "placement", "identity", "path", "framing", "HTTP/2"]


def version(*command):
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.search(r"\d+\.\d+(\.\d+)?", (said.stdout + said.stderr).split("version", 1)[-1])[0]


def find(program):
    """Where `scripts/tools.sh` has this program."""
    return subprocess.run([ROOT / "scripts/tools.sh", "find", program], capture_output=True, text=True, check=True).stdout.strip()


def package(name):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=False).stdout
    return re.match(r"[\d.]+", found)[0]


class Product:
    def __init__(self, name, version, config, command, more=()):
        self.name, self.version, self.config, self.command, self.more = name, version, config, command, more


def products(callgate):
    envoy, haproxy, nginx, apache = (find(name) for name in ["envoy", "haproxy", "nginx", "apache2"])
    return [
        Product("Callgate", version(callgate, "--version"), "callgate.toml", lambda file: [callgate, "run", "--config", file]),
        Product("Envoy `jwt_authn`", re.search(r"/(\d[\d.]+)/", subprocess.run(
            [envoy, "--version"], capture_output=True, text=True, check=True).stdout)[1], "envoy.json",
            lambda file: [envoy, "-c", file, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]),
        Product("HAProxy `jwt_verify`", version(haproxy, "-v"), "haproxy.cfg", lambda file: [haproxy, "-db", "-f", file]),
        Product("nginx with njs", f"{version(nginx, '-v')}, njs {package('libnginx-mod-http-js').rstrip('.')}", "nginx.conf",
                lambda file: [nginx, "-c", file, "-p", "/usr/share/nginx/"], ["jwt.js"]),
        Product("Apache `mod_auth_openidc`", f"{package('apache2-bin')}, module {package('libapache2-mod-auth-openidc')}",
                "apache.conf", lambda file: [apache, "-f", file, "-D", "FOREGROUND"]),
    ]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def wait_until_listening(port, process):
    for _ in range(200):
        if process.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def probe(product, callgate, tokens, service, rate):
    """The report of one product, or None if it cannot be probed, which is said."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        port = free_port()
        values = {"PORT": port, "UPSTREAM": service.server_address[1], "TOKENS": tokens, "DIRECTORY": directory}
        for name in [product.config, *product.more]:
            text = re.sub("@([A-Z]+)@", lambda match: str(values[match[1]]), (HERE / name).read_text())
            (Path(directory) / name).write_text(text)
        with open(f"{directory}/log", "wb") as log:
            process = subprocess.Popen(product.command(f"{directory}/{product.config}"), stdout=log, stderr=log)
        try:
            said = None
            if wait_until_listening(port, process):
                with open(f"{tokens}/RS256.txt", encoding="ascii") as lines:
                    token = lines.readline()
                said = subprocess.run(
                    [callgate, "probe", "--url", f"http://127.0.0.1:{port}/send", "--token-file", "-", "--method", "POST",
                     "--echo-path", "/send", "--keys-file", f"{tokens}/RS256.pem", "--rate", str(rate), "--timeout", "2",
                     "--json"], capture_output=True, text=True, check=False, timeout=600, input=token)
            if said is None or not said.stdout:
                log = Path(f"{directory}/log").read_text(errors="replace")[-1500:]
                print(f"LEFT OUT: {product.name}: {said.stderr if said else ''}{log}", file=sys.stderr)
                return None
            return json.loads(said.stdout)
        finally:
            process.terminate()
            process.wait(10)


def table(reports):
    """By class: what got through, and of how many that could be told; then each failure in words."""
    products = [product for product, _ in reports]
    lines = ["| | " + " | ".join(f"{product.name} {product.version}" for product in products) + " |",
             "|---|" + "---|" * len(products)]
    for name in CLASSES:
        cells = []
        for _, report in reports:
            cases = [case for case in report["cases"] if case["class"] == name]
            count = {verdict: sum(case["verdict"] == verdict for case in cases) for verdict in ["pass", "fail", "not to tell"]}
            told = count["pass"] + count["fail"]
            bypass = sum(case["verdict"] == "fail" and case["weight"] == "bypass" for case in cases)
            cell = f"{count['fail']} of {told}" if told else "–"
            cells.append(f"**{cell}, {bypass} bypass**" if bypass else cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    total = [f"{report['fail']} of {report['pass'] + report['fail']}" for _, report in reports]
    lines.append("| all | " + " | ".join(total) + " |")
    lines.append("| not to tell | " + " | ".join(str(report["not_to_tell"]) for _, report in reports) + " |")
    lines.append("")
    for product, report in reports:
        failed = [case for case in report["cases"] if case["verdict"] == "fail"]
        if not failed:
            lines += [f"{product.name}: nothing got through.", ""]
            continue
        lines += [f"{product.name}:", ""]
        for weight in ["bypass", "leniency"]:
            for name in CLASSES:
                whats = [case["what"].replace("|", "\\|") for case in failed if (case["class"], case["weight"]) == (name, weight)]
                if whats:
                    lines.append(f"* {weight}, {name}: {'; '.join(whats)}")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callgate", default="target/debug/callgate")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--document")
    parser.add_argument("--rate", type=int, default=500)
    arguments = parser.parse_args()
    callgate, tokens = str(Path(arguments.callgate).resolve()), str(Path(arguments.tokens).resolve())
    service = upstream.start()
    threading.Thread(target=service.serve_forever, daemon=True).start()
    reports = []
    for product in products(callgate):
        print(f"probing {product.name} {product.version}", file=sys.stderr)
        report = probe(product, callgate, tokens, service, arguments.rate)
        if report:
            reports.append((product, report))
    made = table(reports)
    print(made)
    if arguments.document:
        page = Path(ROOT / arguments.document)
        before, rest = page.read_text().split(BEGIN)
        page.write_text(before + BEGIN + made + END + rest.split(END)[1])
    if len(reports) < 5:
        sys.exit("probe-peers: not every product was probed")
    if reports[0][1]["fail"]:
        sys.exit("probe-peers: something got through Callgate")


main()
