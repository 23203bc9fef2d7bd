#!/usr/bin/env python3
"""Checks the pods of rendered manifests against the restricted Pod Security Standard, as far as its rules concern what is used
here, and that Callgate's sidecar is one. Prints every finding; exit 1 if there is one."""

import sys

import yaml

HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
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


def main() -> int:
    count = 0
    for document in yaml.safe_load_all(open(sys.argv[1])):
        if document["kind"] != "Deployment":
            continue
        template = document["spec"]["template"]
        pod = template["spec"]
        found = list(findings(pod))
        if template["metadata"].get("labels", {}).get("callgate") == "enabled":
            found += sidecar_findings(pod)
        for finding in found:
            print(f"{sys.argv[1]}: {document['metadata']['name']}: {finding}", file=sys.stderr)
        count += len(found)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
