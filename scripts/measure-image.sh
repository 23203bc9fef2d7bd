#!/usr/bin/env bash
# Measures the image: its size, what is in it, and the time from the start of its program to the first 200 of /readyz, with keys
# from a file. The program runs in the image's own root, without the container around it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh
need python3 podman runc
. scripts/containers.sh

image=localhost/callgate:0.1.0
size=$(buildah inspect --type image --format '{{.FromImageID}}' "$image")
size=$(podman image inspect --format '{{.Size}}' "$size")
echo "image: $((size / 1000)) kB"

work=$(mktemp -d)
root=$(podman image mount "$image")
trap 'podman image unmount "$image" >/dev/null; rm -rf "$work"' EXIT
echo "files in it, kB:"
(cd "$root" && find . -type f -printf '  %k %P\n')

mkdir "$work/root"
cp -r "$root/." "$work/root"
cp tests/e2e/measure/sidecar.toml tests/e2e/measure/jwks.json "$work/root"
python3 - "$work/root" <<'PYTHON'
import http.client, re, shutil, statistics, subprocess, sys, time

root, starts, times = sys.argv[1], 30, []
for _ in range(starts):
    began = time.perf_counter()
    process = subprocess.Popen(
        ["/usr/sbin/chroot", "--userspec=65532:65532", root, "/callgate", "run", "--config", "/sidecar.toml"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={},
    )
    port = None
    for line in process.stderr:
        if found := re.search(r'"admin":"127\.0\.0\.1:(\d+)"', line):
            port = int(found[1])
            break
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            break
        assert time.perf_counter() - began < 5, "not ready within 5 s"
    times.append((time.perf_counter() - began) * 1000)
    with open(f"/proc/{process.pid}/status") as status:
        memory = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    process.terminate()
    process.wait(10)
print(f"start to ready: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of {starts} starts")
print(f"memory then: {int(memory) // 1024} MiB")
PYTHON
