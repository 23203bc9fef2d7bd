#!/usr/bin/env python3
"""Checks rendered manifests: their pods against the restricted Pod Security Standard, as far as its rules concern what is used
here; that Callgate's sidecar is one, and the only way to its service; and that no two objects have one name. Prints every
finding; exit 1 if there is one."""

import sys

import yaml

HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
# Where callers reach Callgate.
PORT = 8080
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def findings(pod: dict):
    for field in HOST_FIELDS:
        if pod.get(field):
            yield f"{field} is set"
    for volume in pod.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    of_pod = pod.get("securityContext", {})
    for container in pod.get("initContainers", []) + pod["containers"]:
        name = container["name"]
        own = container.get("securityContext", {})
        effective = {**of_pod, **own}
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            yield f"{name}: capabilities are not dropped"
        if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
            yield f"{name}: may run as root"
        if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: no seccomp profile"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name}: a port of the host"


def sidecar_findings(pod: dict):
    sidecar = next((c for c in pod.get("initContainers", []) if c["name"] == "callgate"), None)
    if sidecar is None or sidecar.get("restartPolicy") != "Always":
        yield "callgate is not a native sidecar"
        return
    if not sidecar["securityContext"].get("readOnlyRootFilesystem"):
        yield "callgate can write to its root"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe not in sidecar:
            yield f"callgate has no {probe}"
    hook = sidecar.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    if hook[1:] != ["drain"]:
        yield "callgate's preStop does not drain it"
    pre_stop = max(c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) for c in pod["containers"])
    if pre_stop + 20 >= pod.get("terminationGracePeriodSeconds", 30):
        yield "preStop and shutdown.drain do not fit into terminationGracePeriodSeconds"


def probe_findings(pod: dict):
    """The kubelet cannot reach a service that listens on loopback or on a socket: a probe of its own port kills the pod."""
    for container in pod["containers"]:
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            for handler in ("httpGet", "tcpSocket", "grpc"):
                port = container.get(kind, {}).get(handler, {}).get("port", PORT)
                if port != PORT:
                    yield f"{container['name']}: its {kind} goes to port {port} and not through Callgate"


def selects(selector: dict, labels: dict) -> bool:
    return all(labels.get(name) == value for name, value in selector.items())


def name_findings(deployment: dict, of_kind: dict):
    """What belongs to one protected service, and to no other, follows its name."""
    name = deployment["metadata"]["name"]
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    volume = next((v for v in template["spec"].get("volumes", []) if v["name"] == "callgate"), {})
    config = volume.get("configMap", {}).get("name", "")
    if not config.startswith(f"{name}-callgate"):
        yield f"its volume callgate is of the ConfigMap {config!r}, which does not follow its name"
    elif of_kind.get("ConfigMap") and config not in (c["metadata"]["name"] for c in of_kind["ConfigMap"]):
        yield f"there is no ConfigMap {config}"
    # A Deployment alone comes from `kubectl patch`; its Service and its policy are other files.
    if "Service" not in of_kind:
        return
    ports = {port.get("name"): port["containerPort"] for c in template["spec"]["containers"] for port in c.get("ports", [])}
    for service in of_kind["Service"]:
        target = service["spec"]["ports"][0]["targetPort"]
        if selects(service["spec"]["selector"], labels) and ports.get(target, target) != PORT:
            yield f"the Service {service['metadata']['name']} goes around Callgate"
    policies = [p for p in of_kind.get("NetworkPolicy", []) if selects(p["spec"]["podSelector"]["matchLabels"], labels)]
    if [p["metadata"]["name"] for p in policies] != [f"{name}-callgate"]:
        yield f"its NetworkPolicies are {[p['metadata']['name'] for p in policies]}, not {name}-callgate alone"
    for policy in policies:
        for rule in policy["spec"]["ingress"]:
            if "from" not in rule and [port["port"] for port in rule.get("ports", [])] != [PORT]:
                yield f"{policy['metadata']['name']} lets everybody to more than port {PORT}"


def main() -> int:
    path = sys.argv[1]
    of_kind: dict[str, list[dict]] = {}
    for document in yaml.safe_load_all(open(path)):
        of_kind.setdefault(document["kind"], []).append(document)
    found = []
    for kind, documents in of_kind.items():
        names = [(d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
        found += [f"two objects {kind} {name[1]}" for name in set(names) if names.count(name) > 1]
    for deployment in of_kind.get("Deployment", []):
        template = deployment["spec"]["template"]
        pod = template["spec"]
        of_this = list(findings(pod))
        if template["metadata"].get("labels", {}).get("callgate") == "enabled":
            of_this += [*sidecar_findings(pod), *probe_findings(pod), *name_findings(deployment, of_kind)]
        found += [f"{deployment['metadata']['name']}: {finding}" for finding in of_this]
    for finding in found:
        print(f"{path}: {finding}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
