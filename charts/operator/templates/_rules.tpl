{{/*
What the operator may do. Roles stand here and not in the values, so that an upgrade that reuses old values brings new
rules. An operator that creates a Role must itself hold each verb of it: nothing here escalates, binds or impersonates.
*/}}

{{- define "operator.rules.resource" -}}
- apiGroups: [apps.wandb.com]
  resources: [weightsandbiases]
  verbs: [get, list, watch, patch]
- apiGroups: [apps.wandb.com]
  resources: [weightsandbiases/status]
  verbs: [get, patch, update]
- apiGroups: [apps.wandb.com]
  resources: [weightsandbiases/finalizers]
  verbs: [update]
{{- end -}}

{{/* One namespace: the kinds of our own charts, and what their Roles grant in turn. */}}
{{- define "operator.rules.default" -}}
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, secrets, serviceaccounts, services]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete] # Helm tests may be pods; the operator runs and replaces them
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, update, patch, delete]
{{- if (.Values.rbac).issuers }}
- apiGroups: [cert-manager.io]
  resources: [issuers]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [networking.gke.io]
  resources: [managedcertificates]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end }}
{{- end -}}

{{/* One namespace, rbac.profile upstream: what today's operator-wandb chart creates besides. */}}
{{- define "operator.rules.upstream" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [update, delete]
- apiGroups: [""]
  resources: [endpoints, namespaces/status, pods/status, replicationcontrollers, replicationcontrollers/status, resourcequotas]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [controllerrevisions, daemonsets, replicasets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [daemonsets/status, deployments/status, replicasets/status, statefulsets/status]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [cloud.google.com]
  resources: [backendconfigs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [extensions]
  resources: [daemonsets, deployments, ingresses, replicasets]
  verbs: [get, list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end -}}

{{/* The whole cluster, rbac.profile upstream: the monitoring agents of today's chart read nodes. */}}
{{- define "operator.rules.upstreamCluster" -}}
- apiGroups: [""]
  resources: [endpoints, events, namespaces, namespaces/status, nodes, nodes/metrics, nodes/proxy, nodes/spec, nodes/stats, pods, pods/status, replicationcontrollers, replicationcontrollers/status, resourcequotas, services]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get, list, watch]
- apiGroups: [extensions]
  resources: [daemonsets, deployments, ingresses, replicasets]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, ingresses/status]
  verbs: [get, list, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles, clusterrolebindings]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [scheduling.k8s.io]
  resources: [priorityclasses]
  verbs: [get, list, watch, create, update, patch, delete]
- nonResourceURLs: [/metrics]
  verbs: [get]
{{- end -}}

{{/* The whole cluster: the kinds that allowClusterObjects lists. */}}
{{- define "operator.rules.clusterObjects" -}}
{{- $known := dict
  "ClusterRole" (list "rbac.authorization.k8s.io" "clusterroles")
  "ClusterRoleBinding" (list "rbac.authorization.k8s.io" "clusterrolebindings")
  "PriorityClass" (list "scheduling.k8s.io" "priorityclasses")
  "IngressClass" (list "networking.k8s.io" "ingressclasses")
  "StorageClass" (list "storage.k8s.io" "storageclasses") -}}
{{- range .Values.allowClusterObjects | default list | uniq | sortAlpha }}
{{- $kind := get $known . | required (printf "allowClusterObjects: kind %q is not known; known are %s" . (keys $known | sortAlpha | join ", ")) }}
- apiGroups: [{{ index $kind 0 }}]
  resources: [{{ index $kind 1 }}]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end }}
{{- end -}}
