"""A Deployment as a podman pod, in a network namespace of its own that one cable joins to ours."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


PRE_STOP = ["/callgate", "drain"]


def run(*command: str, check: bool = True) -> str:
    """What a command prints; its error output too, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def render(kustomization: Path) -> str:
    return run("kubectl", "kustomize", str(kustomization))


def changed(kustomization: Path, prefix: str, sidecar_toml: str) -> str:
    """A kustomization with another sidecar.toml, its objects named anew, so that it runs beside the first."""
    with tempfile.TemporaryDirectory(dir=kustomization.parent, prefix=".changed-") as directory:
        Path(directory, "sidecar.toml").write_text(sidecar_toml)
        Path(directory, "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\n"
            "kind: Kustomization\n"
            f"namePrefix: {prefix}\n"
            f"resources: [../{kustomization.name}]\n"
            "configMapGenerator:\n"
            "  - {name: email-callgate, behavior: replace, files: [sidecar.toml], options: {immutable: true}}\n"
        )
        return render(Path(directory))


def helm(component: Path, sidecar_toml: str) -> str:
    """The chart of deploy/helm/example with this sidecar.toml, and a component over what it makes."""
    values = json.dumps({"callgate": {"config": sidecar_toml}})
    manifests = run(f"{ROOT}/target/tools/venv/bin/python", str(ROOT / "scripts/render_chart.py"), values)
    with tempfile.TemporaryDirectory(dir=component.parent, prefix=".changed-") as directory:
        Path(directory, "chart.yaml").write_text(manifests)
        Path(directory, "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\n"
            "kind: Kustomization\n"
            "resources: [chart.yaml]\n"
            f"components: [../{component.name}]\n"
        )
        return render(Path(directory))


class Pod:
    def __init__(self, manifest: str, deployment: str, address: str, number: int) -> None:
        """Starts it, and gives it an address in our network. It is not ready then."""
        self.name = f"{deployment}-pod-0"
        self.address = address
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(manifest)
            file.flush()
            run("podman", "kube", "play", "--network", "none", file.name)
        infra = json.loads(run("podman", "pod", "inspect", self.name))["InfraContainerID"]
        self.infra_pid = self.state(infra)["Pid"]
        cable = f"pod{number}"
        run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.infra_pid))
        run("ip", "link", "set", cable, "master", "pods", "up")
        self.inside("ip", "address", "add", f"{address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")

    def inside(self, *command: str) -> str:
        """Runs a command of this machine in the pod's network."""
        return run("nsenter", "--net", "--target", str(self.infra_pid), *command)

    def container(self, name: str) -> str:
        return f"{self.name}-{name}"

    def state(self, container: str) -> dict:
        return json.loads(run("podman", "inspect", container))[0]["State"]

    def pid(self, name: str) -> int:
        return self.state(self.container(name))["Pid"]

    def logs(self, name: str) -> list[str]:
        """Both streams, line by line."""
        done = subprocess.run(["podman", "logs", self.container(name)], capture_output=True, text=True, timeout=30)
        return (done.stdout + done.stderr).splitlines()

    def audit(self) -> list[dict]:
        """The audit records, oldest first. They stand alone on standard output."""
        return [json.loads(line) for line in run("podman", "logs", self.container("callgate")).splitlines() if '"event"' in line]

    def listening(self) -> set[str]:
        """The addresses that something in the pod listens on."""
        return {line.split()[3] for line in self.inside("ss", "--listening", "--tcp", "--numeric", "--no-header").splitlines()}

    def stop(self, name: str, grace_s: int) -> float:
        """SIGTERM, and SIGKILL after the grace. The seconds that it took."""
        began = time.monotonic()
        run("podman", "stop", "--time", str(grace_s), self.container(name))
        return time.monotonic() - began

    def run_pre_stop(self) -> None:
        """The hook of the sidecar, as its manifest says."""
        run("podman", "exec", self.container("callgate"), *PRE_STOP)

    def remove(self) -> None:
        run("podman", "pod", "rm", "--force", "--time", "0", self.name, check=False)
