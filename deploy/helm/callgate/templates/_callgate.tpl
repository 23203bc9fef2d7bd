{{/* What belongs to one protected service carries its name. */}}
{{- define "callgate.name" -}}
{{ printf "%s-callgate" (.Values.callgate.service | default .Release.Name) }}
{{- end }}

{{/* sidecar.toml: the value, or else the file of that name in the chart that uses this one. */}}
{{- define "callgate.config" -}}
{{- .Values.callgate.config | default (.Files.Get "sidecar.toml") | required "callgate.config is empty, and the chart has no sidecar.toml" -}}
{{- end }}

{{/* Another content has another name, so a changed sidecar.toml rolls the Deployment out, and old pods keep theirs. */}}
{{- define "callgate.configMapName" -}}
{{ printf "%s-%s" (include "callgate.name" .) (include "callgate.config" . | sha256sum | trunc 10) }}
{{- end }}

{{/* For the labels of the Deployment and of its pods. */}}
{{- define "callgate.labels" -}}
callgate: enabled
{{- end }}

{{/* An item for initContainers: the native sidecar. */}}
{{- define "callgate.container" -}}
{{- $values := .Values.callgate -}}
- name: callgate
  image: {{ $values.image.repository }}{{ with $values.image.digest }}@{{ . }}{{ else }}:{{ required "callgate.image has no tag and no digest" $values.image.tag }}{{ end }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  restartPolicy: Always
  args: ["run", "--config", "/etc/callgate/sidecar.toml"]
  ports:
    - name: callgate-admin
      containerPort: {{ $values.adminPort }}
  startupProbe:
    httpGet:
      path: /livez
      port: callgate-admin
    periodSeconds: 1
    failureThreshold: 30
  readinessProbe:
    httpGet:
      path: /readyz
      port: callgate-admin
    periodSeconds: 5
  livenessProbe:
    httpGet:
      path: /livez
      port: callgate-admin
    periodSeconds: 10
  lifecycle:
    preStop:
      exec:
        command: ["/callgate", "drain"{{ if ne (int $values.adminPort) 9901 }}, "--admin", "127.0.0.1:{{ $values.adminPort }}"{{ end }}]
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int $values.user }}
    runAsGroup: {{ int $values.group }}
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: ["ALL"]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: callgate
      mountPath: /etc/callgate
      readOnly: true
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* An item for volumes. */}}
{{- define "callgate.volume" -}}
- name: callgate
  configMap:
    name: {{ include "callgate.configMapName" . }}
{{- end }}

{{/* A template of its own: the ConfigMap and the NetworkPolicy. */}}
{{- define "callgate.resources" -}}
{{- $policy := .Values.callgate.networkPolicy -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "callgate.configMapName" . }}
  annotations:
    # The pods of the release before still need it while they are replaced, and after a rollback.
    helm.sh/resource-policy: keep
immutable: true
data:
  sidecar.toml: {{ include "callgate.config" . | toJson }}
{{- if $policy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "callgate.name" . }}
spec:
  podSelector:
    matchLabels:
      {{- include "callgate.labels" . | nindent 6 }}
      {{- required "callgate.selectorLabels is empty: name the labels of the service's pods" .Values.callgate.selectorLabels | toYaml | nindent 6 }}
  policyTypes: ["Ingress"]
  ingress:
    - ports:
        - port: {{ $policy.port }}
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ $policy.prometheusNamespace }}
      ports:
        - port: {{ .Values.callgate.adminPort }}
        {{- range $policy.prometheusPorts }}
        - port: {{ . }}
        {{- end }}
{{- end }}
{{- end }}
