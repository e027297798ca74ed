package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// objects reads a stream of YAML documents. An annotation helm.sh/hook makes a hook.
func objects(t *testing.T, stream string) []plan.Object {
	t.Helper()
	var result []plan.Object
	for document := range strings.SplitSeq(stream, "\n---\n") {
		var content map[string]any
		if err := yaml.Unmarshal([]byte(document), &content); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if len(content) == 0 {
			continue
		}
		metadata, _ := content["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		object := plan.Object{Content: content, Namespace: "wandb", Hook: annotations["helm.sh/hook"] != nil}
		object.APIVersion, _ = content["apiVersion"].(string)
		object.Kind, _ = content["kind"].(string)
		object.Name, _ = metadata["name"].(string)
		result = append(result, object)
	}
	return result
}

// lines writes changes one field a line: "Deployment a ~ spec.replicas 1 2".
func lines(changes []plan.Change) []string {
	var result []string
	for _, change := range changes {
		if len(change.Fields) == 0 {
			result = append(result, fmt.Sprintf("%s %s", change.Action, change.Object()))
		}
		for _, field := range change.Fields {
			text := fmt.Sprintf("%s %s %s", change.Object(), field.Action, field.Label)
			for _, part := range append([]string{field.Old, field.New}, field.Lines...) {
				if part != "" {
					text += " | " + part
				}
			}
			if field.Hidden {
				text += " | hidden"
			}
			result = append(result, text)
		}
	}
	return result
}

func deployment(containers string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    metadata: {annotations: {kubewandb.io/secrets: same}}
    spec:
      containers: ` + containers
}

func TestCompare(t *testing.T) {
	config := func(data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: " + data
	}
	tests := map[string]struct {
		before, after string
		secrets       []redact.Secret
		generated     plan.Paths
		want          []string
	}{
		"a first install adds everything": {
			after: config("{a: b}") + "\n---\n" + deployment("[]"), want: []string{"Add ConfigMap config", "Add Deployment app"},
		},
		"what is equal is not named, whatever the form of its numbers": {
			before: config("{a: b, c: null, n: 3}"), after: config("{n: 3.0, a: b}"),
		},
		"objects go, and come": {
			before: config("{}") + "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: old}",
			after:  "apiVersion: v1\nkind: Service\nmetadata: {name: new}\n---\n" + config("{}"),
			want:   []string{"Add Service new", "Remove Service old"},
		},
		"another version of the API is a change and no other object": {
			before: "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: x}", after: "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: x}",
			want: []string{`PodDisruptionBudget x Change apiVersion | "policy/v1beta1" | "policy/v1"`},
		},
		"a hook and a kept object of one name are two": {
			before: config("{}"), after: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config, annotations: {helm.sh/hook: pre-install}}",
			want: []string{"Add ConfigMap config", "Remove ConfigMap config"},
		},
		"containers and variables are told apart by name": {
			before: deployment(`[{name: app, image: "a:1", env: [{name: A, value: "1"}, {name: B, value: "2"}]}, {name: side, image: s}]`),
			after:  deployment(`[{name: new, image: next}, {name: app, image: "a:2", env: [{name: B, value: "2"}, {name: C, value: "3"}]}, {name: side, image: s}]`),
			want: []string{
				`Deployment app Add spec.template.spec.containers[new] | {"image":"next","name":"new"}`,
				`Deployment app Add spec.template.spec.containers[app].env[C] | {"name":"C","value":"3"}`,
				`Deployment app Remove spec.template.spec.containers[app].env[A] | {"name":"A","value":"1"}`,
				`Deployment app Change spec.template.spec.containers[app].image | "a:1" | "a:2"`,
			},
		},
		"ports are told apart by number and mounts by path": {
			before: deployment(`[{name: app, ports: [{containerPort: 80}], volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b}]}]`),
			after:  deployment(`[{name: app, ports: [{containerPort: 80, protocol: TCP}], volumeMounts: [{name: v, mountPath: /b, readOnly: true}]}]`),
			want: []string{
				`Deployment app Add spec.template.spec.containers[app].ports[80].protocol | "TCP"`,
				`Deployment app Add spec.template.spec.containers[app].volumeMounts[/b].readOnly | true`,
				`Deployment app Remove spec.template.spec.containers[app].volumeMounts[/a] | {"mountPath":"/a","name":"v"}`,
			},
		},
		"another order is a change": {
			before: deployment(`[{name: app, env: [{name: A}, {name: B}]}]`), after: deployment(`[{name: app, env: [{name: B}, {name: A}]}]`),
			want: []string{`Deployment app Change spec.template.spec.containers[app].env (order) | "A, B" | "B, A"`},
		},
		"an argument in between is one line": {
			before: deployment(`[{name: app, args: [serve, --listen, x]}]`), after: deployment(`[{name: app, args: [serve, --debug, --listen, x]}]`),
			want: []string{`Deployment app Add spec.template.spec.containers[app].args[1] | "--debug"`},
		},
		"a text is compared line by line": {
			before: config("{f.conf: \"a\\nb\\nc\\nd\\ne\\n\"}"), after: config("{f.conf: \"a\\nb\\nc\\nd\\nE\\n\"}"),
			want: []string{"ConfigMap config Change data[f.conf] |  … |  c |  d | -e | +E"},
		},
		"the operator's own mark is no change": {
			before: deployment("[]"), after: strings.Replace(deployment("[]"), "same", "other", 1),
		},
		"a Secret shows its keys": {
			before: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: b2xk, gone: eA==}", after: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: new, b: more}",
			want: []string{"Secret s Change data.a | hidden", "Secret s Add data.b | hidden", "Secret s Remove data.gone | hidden"},
		},
		"a value that moves from stringData to data is the same": {
			before: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: old}", after: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: b2xk}",
		},
		"a variable named like a credential is hidden": {
			before: deployment(`[{name: app, env: [{name: DB_PASSWORD, value: first}]}]`), after: deployment(`[{name: app, env: [{name: DB_PASSWORD, value: second}]}]`),
			want: []string{"Deployment app Change spec.template.spec.containers[app].env[DB_PASSWORD].value | hidden"},
		},
		"a known credential is masked inside a text": {
			before: config("{url: http://h/1}"), after: config("{url: http://h/hunter2hunter2, note: 'password=abc mode=fast'}"), secrets: []redact.Secret{"hunter2hunter2"},
			want: []string{`ConfigMap config Add data.note | "password=[redacted] mode=fast"`, `ConfigMap config Change data.url | "http://h/1" | "http://h/[redacted]"`},
		},
		"a hash over configuration is not shown": {
			before: strings.Replace(deployment("[]"), "kubewandb.io/secrets", "checksum/config", 1), after: strings.Replace(strings.Replace(deployment("[]"), "kubewandb.io/secrets", "checksum/config", 1), "same", "other", 1),
			want: []string{"Deployment app Change spec.template.metadata.annotations[checksum/config] | hidden"},
		},
		"generated paths are left out": {
			before: config("{a: x, b: z}"), after: config("{a: xx, b: zz}"), generated: plan.Paths{"/ConfigMap/wandb/config": {"/data/a"}},
			want: []string{`ConfigMap config Change data.b | "z" | "zz"`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes := plan.Compare(objects(t, test.before), objects(t, test.after), plan.Options{Secrets: test.secrets, Generated: test.generated})
			if diff := cmp.Diff(test.want, lines(changes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPathsAreJSONPointers(t *testing.T) {
	before := deployment(`[{name: a}, {name: app, env: [{name: GONE}]}]`)
	after := strings.Replace(deployment(`[{name: app, image: i}]`), "same}", "same, a/b~c: x}", 1)
	var paths []string
	for _, field := range plan.Compare(objects(t, before), objects(t, after), plan.Options{})[0].Fields {
		paths = append(paths, string(field.Action)+" "+field.Path)
	}
	want := []string{
		"Add /spec/template/metadata/annotations/a~1b~0c", "Remove /spec/template/spec/containers/0/env", "Add /spec/template/spec/containers/0/image",
		"Remove /spec/template/spec/containers/0",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManyFieldsAreCounted(t *testing.T) {
	data := map[string]any{}
	for i := range 300 {
		data[fmt.Sprintf("k%03d", i)] = "v"
	}
	object := func(data map[string]any) []plan.Object {
		return []plan.Object{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", Content: map[string]any{"data": data}}}
	}
	change := plan.Compare(object(map[string]any{}), object(data), plan.Options{})[0]
	if len(change.Fields) != 200 || change.Omitted != 100 {
		t.Errorf("%d fields and %d omitted, want 200 and 100", len(change.Fields), change.Omitted)
	}
}

func TestGenerated(t *testing.T) {
	stream := func(random string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {drawn: " + random + ", fixed: x}\n---\n" +
			deployment("[{name: app, env: [{name: A, value: "+random+"}]}]") +
			"\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: job-" + random + "}"
	}
	a, b := objects(t, stream("one")), objects(t, stream("two"))
	want := plan.Paths{
		"/Secret/wandb/s":           {"/data/drawn"},
		"apps/Deployment/wandb/app": {"/spec/template/spec/containers/0/env/0/value"},
		"batch/Job/wandb/job-one":   {""},
	}
	generated := plan.Generated(a, b)
	if diff := cmp.Diff(want, generated); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if equal := plan.Generated(a, a); equal != nil {
		t.Errorf("equal renders gave %v", equal)
	}
	changes := plan.Compare(b, a, plan.Options{Generated: generated})
	if diff := cmp.Diff([]string{"Add Job job-one", "Remove Job job-two"}, lines(changes)); diff != "" || !changes[0].Generated {
		t.Errorf("generated: %v (-want +got):\n%s", changes[0].Generated, diff)
	}
	if !generated.Covers("/Secret/wandb/s", "/data/drawn") || !generated.Covers("batch/Job/wandb/job-one", "/spec") || generated.Covers("/Secret/wandb/s", "/data/drawn2") {
		t.Error("Covers takes the wrong paths")
	}
}

func TestImagesRestartsAndRights(t *testing.T) {
	role := func(rules string) string {
		return "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: " + rules
	}
	binding := "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: app}, {kind: ServiceAccount, name: app, namespace: other}]"
	before := deployment(`[{name: app, image: "a:1"}]`) + "\n---\n" + role(`[{apiGroups: [""], resources: [pods], verbs: [list, get, delete]}]`) +
		"\n---\n" + strings.ReplaceAll(deployment(`[{name: old, image: "o:1"}]`), "name: app", "name: gone") +
		"\n---\n" + strings.ReplaceAll(deployment("[]"), "name: app", "name: rotated")
	after := deployment(`[{name: app, image: "a:2@sha256:00"}, {name: side, image: "s:1"}]`) + "\n---\n" + binding + "\n---\n" +
		role(`[{apiGroups: [""], resources: [pods, services], verbs: [get, list]}, {apiGroups: [apps], resources: ["*"], resourceNames: [x], verbs: ["*"]}, {nonResourceURLs: [/metrics], verbs: [get]}]`) +
		"\n---\n" + strings.Replace(strings.ReplaceAll(deployment("[]"), "name: app", "name: rotated"), "same", "other", 1) +
		"\n---\n" + strings.Replace(strings.ReplaceAll(deployment("[]"), "name: app", "name: fresh"), "same", "other", 1)
	made := plan.Make(plan.Header{}, plan.Inputs{}, objects(t, before), objects(t, after), plan.Options{})
	wantImages := []plan.Image{
		{Object: "Deployment app", Container: "app", From: "a:1", To: "a:2@sha256:00"}, {Object: "Deployment app", Container: "side", To: "s:1"},
		{Object: "Deployment gone", Container: "old", From: "o:1"},
	}
	if diff := cmp.Diff(wantImages, made.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	wantRestarts := []plan.Restart{
		{Object: "Deployment app", Why: "containers[app].image, containers[side]"}, {Object: "Deployment rotated", Why: "a Secret that it uses changed"},
	}
	if diff := cmp.Diff(wantRestarts, made.Restarts); diff != "" {
		t.Errorf("restarts (-want +got):\n%s", diff)
	}
	wantRights := []plan.Right{
		{Object: "RoleBinding b", Gains: []string{"Role r to ServiceAccount app", "Role r to ServiceAccount other/app"}},
		{Object: "Role r", Gains: []string{`do everything with every resource.apps "x"`, "get URL /metrics", "get, list services"}, Loses: []string{"delete pods"}},
	}
	if diff := cmp.Diff(wantRights, made.Rights); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
}

func TestWorkloadsWithoutPodsDoNotRestart(t *testing.T) {
	stream := func(image string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: none}\nspec: {replicas: 0, template: {spec: {containers: [{name: c, image: " + image + "}]}}}\n---\n" +
			"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: by-hand}\nspec: {updateStrategy: {type: OnDelete}, template: {spec: {containers: [{name: c, image: " + image + "}]}}}"
	}
	if restarts := plan.Restarts(objects(t, stream("a")), objects(t, stream("b"))); len(restarts) != 0 {
		t.Errorf("restarts = %v", restarts)
	}
}

func TestScaledAndSecretsUsed(t *testing.T) {
	stream := objects(t, `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      imagePullSecrets: [{name: pull}]
      initContainers: [{name: i, env: [{name: A, valueFrom: {secretKeyRef: {name: in-env, key: a}}}]}]
      containers: [{name: c, envFrom: [{configMapRef: {name: no}}, {secretRef: {name: from}}], env: [{name: A, valueFrom: {secretKeyRef: {name: in-env, key: a}}}]}]
      volumes: [{name: v, secret: {secretName: mounted}}, {name: p, projected: {sources: [{secret: {name: projected}}, {configMap: {name: no}}]}}]
`)
	if scaled := plan.Scaled(stream); !scaled[stream[1].Key()] || len(scaled) != 1 {
		t.Errorf("scaled = %v, want %s", scaled, stream[1].Key())
	}
	if diff := cmp.Diff([]string{"in-env", "from", "mounted", "projected"}, plan.SecretsUsed(stream[1])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
