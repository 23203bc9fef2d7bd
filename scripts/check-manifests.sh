#!/usr/bin/env bash
# Checks everything in deploy/ that can be checked without a cluster: shell scripts, Dockerfiles, the rendered manifests against
# the schemas of the two newest Kubernetes minors and the restricted Pod Security Standard, the alerts, and each sidecar.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh
need git shellcheck hadolint kubectl kubernetes-validate promtool openssl python3 || {
    skip 'make manifests' "$unmet cannot be installed; nothing in deploy/ was checked"
    exit
}
callgate=${CALLGATE:-target/debug/callgate}

passed=0
ok() {
    passed=$((passed + 1))
    echo "ok: $*"
}

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh')
shellcheck --external-sources "${scripts[@]}"
ok "shellcheck of ${#scripts[@]} scripts"

mapfile -t dockerfiles < <(git ls-files --cached --others --exclude-standard '*Dockerfile')
hadolint "${dockerfiles[@]}"
ok "hadolint of ${dockerfiles[*]}"

llvm=$(deploy/profile/llvm.sh)
if [[ -f deploy/profile/llvm-$llvm.profdata ]]; then
    # It only warns of one that it cannot read.
    said=$(rustc --crate-name profiled --emit obj -o /dev/null -C "profile-use=deploy/profile/llvm-$llvm.profdata" - 2>&1 <<<'fn main() {}')
    [[ -z $said ]] || { echo "$said" >&2 && exit 1; }
    ok "the compiler reads its profile, llvm-$llvm.profdata"
    [[ $(scripts/profiled.sh) == $(<deploy/profile/for) ]] ||
        printf '\n  !! The profile is of other dependencies or another compiler, and has no effect. make profile writes it anew.\n\n' >&2
else
    printf '\n  !! There is no profile for LLVM %s: an image of this compiler is slower; make profile writes one.\n\n' "$llvm" >&2
fi

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
mapfile -t minors < <(python - <<'PYTHON'
import pathlib, kubernetes_validate
schemas = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
minors = {tuple(map(int, path.name[1:].split("-")[0].split(".")[:2])) for path in schemas.glob("v*-local-strict")}
print(*(f"{major}.{minor}" for major, minor in sorted(minors)[-2:]), sep="\n")
PYTHON
)
for example in protected unix-socket service-account-tokens tls other-ports two-services caller; do
    kubectl kustomize "deploy/example/$example" >"$rendered/$example.yaml"
    for minor in "${minors[@]}"; do
        kubernetes-validate --quiet --strict --kubernetes-version "$minor" "$rendered/$example.yaml"
        ok "$example is valid for Kubernetes $minor"
    done
    python scripts/check_pods.py "$rendered/$example.yaml"
    ok "$example passes the restricted Pod Security Standard"
done

# Each of those checks finds what it is there for.
finds() { # WHAT SED-EXPRESSION EXPECTED
    sed -E "$2" "$rendered/two-services.yaml" >"$rendered/wrong.yaml"
    ! python scripts/check_pods.py "$rendered/wrong.yaml" 2>"$rendered/found" || { echo "not found: $1" >&2 && exit 1; }
    grep -q "$3" "$rendered/found" || { cat "$rendered/found" >&2 && exit 1; }
    ok "the check finds $1"
}
finds 'a probe of the service that goes around Callgate' 's/^( +port: )8080$/\13000/' 'goes to port 3000 and not through Callgate'
finds 'two services with one ConfigMap' 's/reports-callgate/email-callgate/' 'which does not follow its name'
finds 'a Service that goes around Callgate' 's/containerPort: 8080/containerPort: 3000/' 'goes around Callgate'
finds 'a NetworkPolicy for more than one service' '/matchLabels:/,/callgate: enabled/s/^ +app.kubernetes.io.name: .*//' 'not email-callgate alone'

# Without kustomize: the same pod by `kubectl patch`, and the Deployment keeps its name, which an API server insists on.
python - <<'PYTHON'
import yaml
patch, of_kustomize = (yaml.safe_load(open(f"deploy/{name}/sidecar.yaml")) for name in ("kubectl", "component"))
assert "name" not in patch["metadata"], "deploy/kubectl/sidecar.yaml names a Deployment"
registry, _, name = patch["spec"]["template"]["spec"]["initContainers"][0]["image"].rpartition("/")
assert registry and ":" in name, "deploy/kubectl/sidecar.yaml has no image with registry and tag"
PYTHON
kubectl patch --local --filename deploy/example/email/deployment.yaml --patch-file deploy/kubectl/sidecar.yaml \
    --output yaml >"$rendered/patched.yaml"
kubectl patch --local --filename "$rendered/patched.yaml" --patch-file deploy/example/protected/email.yaml \
    --output yaml >"$rendered/protected-by-patch.yaml"
scripts/compare_manifests.py --only Deployment "$rendered/protected.yaml" "$rendered/protected-by-patch.yaml"
python scripts/check_pods.py "$rendered/protected-by-patch.yaml"
ok 'kubectl patch with deploy/kubectl/sidecar.yaml makes the same Deployment as kustomize, and leaves its name alone'

if need helm-python-sdk; then
    scripts/render_chart.py >"$rendered/helm.yaml"
    scripts/compare_manifests.py "$rendered/protected.yaml" "$rendered/helm.yaml"
    for minor in "${minors[@]}"; do
        kubernetes-validate --quiet --strict --kubernetes-version "$minor" "$rendered/helm.yaml"
    done
    python scripts/check_pods.py "$rendered/helm.yaml"
    ok 'the Helm chart makes the same manifests as kustomize'
    scripts/render_chart.py '{"callgate": {"image": {"digest": "sha256:'"$(printf '0%.0s' {1..64})"'"}, "adminPort": 9902, "user": 1000,
        "networkPolicy": {"prometheusNamespace": "observability", "prometheusPorts": [9100]},
        "volumeMounts": [{"name": "tls", "mountPath": "/etc/callgate-tls"}]}}' >"$rendered/helm-values.yaml"
    for found in 'image: registry.example.com/callgate@sha256:0000' '- port: 9100' '- port: 9902' 'name: observability' \
        'mountPath: /etc/callgate-tls' 'runAsUser: 1000' '"--admin", "127.0.0.1:9902"'; do
        grep -qF -- "$found" <(sed 's/kubernetes.io.metadata.name/name/' "$rendered/helm-values.yaml") ||
            { echo "the values do not make: $found" >&2 && exit 1; }
    done
    ok 'each value of the chart reaches the manifests'
    for wrong in '{"image": {"repository": "callgate"}}' '{"adminPort": 99999}' '{"selectorLabel": {}}' '{"user": 0}' \
        '{"image": {"tag": null}}' '{"selectorLabels": {"app.kubernetes.io/name": null}}'; do
        ! scripts/render_chart.py "{\"callgate\": $wrong}" >"$rendered/wrong.yaml" 2>&1 ||
            { echo "the chart accepts $wrong" >&2 && exit 1; }
    done
    ok 'values that are unknown or malformed are refused'
    python - <<'PYTHON'
import yaml
readme = open("deploy/helm/callgate/README.md").read()
def leaves(values, path=""):
    for name, value in values.items():
        whole = f"{path}{name}"
        yield from leaves(value, f"{whole}.") if isinstance(value, dict) and value and name != "resources" else [whole]
for name in leaves(yaml.safe_load(open("deploy/helm/callgate/values.yaml"))):
    assert f"`{name}`" in readme, f"deploy/helm/callgate/README.md does not explain {name}"
PYTHON
    ok 'the chart explains every value'
else
    skip 'the Helm chart' "$unmet cannot be installed"
fi

if need systemd-analyze; then
    # The program need not be installed here.
    unit=$rendered/callgate@email.service
    sed "s#/usr/local/bin/callgate#/bin/true#" 'deploy/systemd/callgate@.service' >"$unit"
    systemd-analyze verify --man=no "$unit"
    systemd-analyze security --no-pager --offline=yes --threshold=15 "$unit" >"$rendered/said" || { cat "$rendered/said" && exit 1; }
    ok "the systemd unit is valid, and its exposure is $(sed -n 's/^.*: \([0-9.]*\) .*/\1/p' <(tail -n 1 "$rendered/said")) of 10, at most 1.5"
else
    skip 'the systemd unit' "$unmet cannot be installed"
fi

# A Kustomization of resources that the schemas do not know: only its alerts can be checked.
kubectl kustomize deploy/monitoring >"$rendered/monitoring.yaml"
python - "$rendered" <<'PYTHON'
import re, sys, yaml
documents = list(yaml.safe_load_all(open(f"{sys.argv[1]}/monitoring.yaml")))
rule, = (document for document in documents if document["kind"] == "PrometheusRule")
assert rule["spec"] == yaml.safe_load(open("deploy/monitoring/rules.yaml")), "prometheus-rule.yaml is not rules.yaml"

monitor, = (document for document in documents if document["kind"] == "PodMonitor")
relabeling, = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]
assert relabeling["targetLabel"] == "job"
def job(kind, name):
    found = re.fullmatch(relabeling["regex"], f"{kind};{name}")
    return found and "".join(found[int(number)] or "" for number in re.findall(r"\$(\d)", relabeling["replacement"]))
wanted = {("ReplicaSet", "email-7d9f8bc5f4"): "email", ("ReplicaSet", "email-eu-7d9f8bc5f4"): "email-eu",
          ("StatefulSet", "mail-store"): "mail-store", ("DaemonSet", "relay"): "relay", ("Job", "once-x2"): None}
for (kind, name), service in wanted.items():
    assert job(kind, name) == service, (kind, name, job(kind, name))
PYTHON
ok 'the PrometheusRule has the alerts of rules.yaml, and the PodMonitor names jobs after Deployments'
promtool check rules deploy/monitoring/rules.yaml >/dev/null
promtool test rules deploy/monitoring/rules.test.yaml >"$rendered/promtool.log" || { cat "$rendered/promtool.log" && exit 1; }
ok 'the alerts fire, and do not, as rules.test.yaml says'
if need node lezer-logql; then
    # What Loki runs its queries with is in no package: only their grammar can be checked.
    dashboard=deploy/monitoring/dashboard.json
    queries=$(node scripts/check_logql.mjs "$dashboard")
    ok "the grammar of LogQL accepts the dashboard's $queries queries for Loki"
    refuses() { # WHAT SED-EXPRESSION
        sed -E "$2" "$dashboard" >"$rendered/dashboard.json"
        ! cmp -s "$dashboard" "$rendered/dashboard.json" || { echo "not in the dashboard any more: $1" >&2 && exit 1; }
        ! node scripts/check_logql.mjs "$rendered/dashboard.json" >/dev/null 2>"$rendered/found" || { echo "not found: $1" >&2 && exit 1; }
        grep -q 'is no LogQL' "$rendered/found" || { cat "$rendered/found" >&2 && exit 1; }
    }
    # shellcheck disable=SC2016  # the dollars are Grafana's
    refuses 'a parenthesis that is not closed' 's/(\$__auto\]\)\))\)/\1/'
    refuses 'a filter with ==' 's/decision=\\"reject/decision==\\"reject/'
    refuses 'a parser that Loki has not' 's/\| json /| jsn /'
    # shellcheck disable=SC2016
    refuses 'no range' 's/ \[\$__(auto|range)\]//'
    refuses 'no label to find the records by' 's/count_over_time\(\{[^}]*\}/count_over_time({}/'
    ok 'and refuses five faulty ones'
else
    skip 'the queries for Loki' "$unmet cannot be installed"
fi
while read -r anchor; do
    grep -qi "^## $anchor$" docs/runbook.md || { echo "docs/runbook.md has no section $anchor" >&2 && exit 1; }
done < <(sed -n 's/.*runbook.md#//p' deploy/monitoring/rules.yaml)
ok 'each alert has its section in the runbook'

if [[ -x $callgate ]]; then
    # What a pod has and this machine has not.
    pod=$rendered/pod
    mkdir -p "$pod/etc/callgate-tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=email \
        -keyout "$pod/etc/callgate-tls/tls.key" -out "$pod/etc/callgate-tls/tls.crt" 2>/dev/null
    mapfile -t configurations < <(git ls-files --cached --others --exclude-standard 'deploy/*sidecar.toml' 'examples/*sidecar.toml' 'tests/e2e/*sidecar.toml')
    for configuration in "${configurations[@]}"; do
        "$callgate" check --config "$configuration" --root "$pod" >"$rendered/said" 2>&1 || { cat "$rendered/said" >&2 && exit 1; }
        ok "$configuration is accepted"
    done
    # Where the preset looks for the cluster's files, the pod has them.
    while read -r file; do
        grep -q "mountPath: $(dirname "$file")\$" "$rendered/service-account-tokens.yaml"
    done < <("$callgate" check --expand --config deploy/example/service-account-tokens/sidecar.toml 2>/dev/null |
        sed -nE 's/^(ca|token)_file = "(.*)"$/\2/p')
    ok 'service-account-tokens mounts the files of its preset'
else
    skip 'the sidecar.toml files of make manifests' "$callgate is not built"
fi
echo "$passed passed, 0 failed"
