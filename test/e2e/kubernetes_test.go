package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// shell runs a program as a user would after `eval "$(make -s demo-env)"` and fails the test where it fails.
func shell(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	output, err := try(t.Context(), "", name, arguments...)
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(arguments, " "), err)
	}
	return output
}

// try runs a program with the demo's environment; the error holds what it printed.
func try(ctx context.Context, stdin, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	program := name
	if found, err := lookPath(name); err == nil {
		program = found
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = system.root
	command.Env = environment()
	command.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return string(output), fmt.Errorf("%w\n%s%s", err, output, stderr.String())
	}
	return string(output), nil
}

// lookPath finds a program on the PATH that demo-env exports; exec would search this process's own.
func lookPath(name string) (string, error) {
	for dir := range strings.SplitSeq(system.env["PATH"], ":") {
		path := dir + "/" + name
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not on the demo's PATH", name)
}

func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, ours := system.env[name]
		return ours || strings.HasPrefix(name, "WANDB_")
	})
	for name, value := range system.env {
		env = append(env, name+"="+value)
	}
	return env
}

func apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := try(t.Context(), manifest, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// customResource is what the tests read of the CR.
type customResource struct {
	Metadata struct {
		Name       string `json:"name"`
		Generation int64  `json:"generation"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration int64       `json:"observedGeneration"`
		Conditions         []condition `json:"conditions"`
		Release            struct {
			Name     string `json:"name"`
			Revision int    `json:"revision"`
		} `json:"release"`
		Channel struct {
			ReleaseName string `json:"releaseName"`
		} `json:"channel"`
	} `json:"status"`
}

func (r customResource) condition(name string) condition {
	for _, c := range r.Status.Conditions {
		if c.Type == name {
			return c
		}
	}
	return condition{Type: name}
}

func resource(t *testing.T) customResource {
	t.Helper()
	var r customResource
	decode(t, shell(t, "kubectl", "get", "wandb", "wandb", "-o", "json"), &r)
	return r
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("decode %T: %v\n%s", into, err, text)
	}
}

// eventually waits until check returns "", and reports what it returned last.
func eventually(t *testing.T, limit time.Duration, check func() string) time.Duration {
	t.Helper()
	began := time.Now()
	last := check()
	for last != "" {
		if time.Since(began) > limit {
			t.Fatalf("not so after %s: %s", limit, last)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
		last = check()
	}
	return time.Since(began)
}

// awaitCondition waits until a condition has a status and a reason; an empty reason accepts any.
func awaitCondition(t *testing.T, limit time.Duration, name, status, reason string) condition {
	t.Helper()
	var got condition
	eventually(t, limit, func() string {
		r := resource(t)
		got = r.condition(name)
		if got.Status == status && (reason == "" || got.Reason == reason) && r.Status.ObservedGeneration == r.Metadata.Generation {
			return ""
		}
		return fmt.Sprintf("%s=%s, reason %s: %s; want %s, reason %s", name, got.Status, got.Reason, got.Message, status, reason)
	})
	return got
}

type pod struct {
	Metadata struct {
		Name   string            `json:"name"`
		UID    string            `json:"uid"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase             string      `json:"phase"`
		Conditions        []condition `json:"conditions"`
		ContainerStatuses []struct {
			ImageID      string `json:"imageID"`
			RestartCount int    `json:"restartCount"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

func (p pod) ready() bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c condition) bool { return c.Type == "Ready" && c.Status == "True" })
}

// pods returns the pods of a namespace that are not on their way out.
func pods(t *testing.T, inNamespace, selector string) []pod {
	t.Helper()
	var list struct {
		Items []struct {
			pod
			Metadata struct {
				DeletionTimestamp *string           `json:"deletionTimestamp"`
				Name              string            `json:"name"`
				UID               string            `json:"uid"`
				Labels            map[string]string `json:"labels"`
			} `json:"metadata"`
		} `json:"items"`
	}
	decode(t, shell(t, "kubectl", "get", "pods", "-n", inNamespace, "-l", selector, "-o", "json"), &list)
	var alive []pod
	for _, item := range list.Items {
		if item.Metadata.DeletionTimestamp != nil {
			continue
		}
		p := item.pod
		p.Metadata.Name, p.Metadata.UID, p.Metadata.Labels = item.Metadata.Name, item.Metadata.UID, item.Metadata.Labels
		alive = append(alive, p)
	}
	return alive
}

// applicationUIDs identifies the running workloads of the application: equal before and after means untouched.
func applicationUIDs(t *testing.T) string {
	t.Helper()
	var uids []string
	for _, p := range pods(t, namespace, "app.kubernetes.io/instance=wandb") {
		uids = append(uids, p.Metadata.Name+"="+p.Metadata.UID)
	}
	slices.Sort(uids)
	return strings.Join(uids, " ")
}

// released makes a change and waits until the operator has released it: the conditions alone would still tell of the state
// before, and the change would replace pods under the tests that follow.
func released(t *testing.T, change func()) {
	t.Helper()
	before := resource(t).Status.Release.Revision
	change()
	eventually(t, 2*time.Minute, func() string {
		r := resource(t)
		if r.Status.Release.Revision <= before {
			return fmt.Sprintf("the release is still at revision %d", before)
		}
		if ready := r.condition("Ready"); ready.Status != "True" {
			return fmt.Sprintf("Ready=%s, reason %s: %s", ready.Status, ready.Reason, ready.Message)
		}
		return ""
	})
	applicationPod(t)
}

// applicationPod is a pod of the application that is ready and stays, once a rollout that is under way has ended.
func applicationPod(t *testing.T) (name string) {
	t.Helper()
	shell(t, "kubectl", "rollout", "status", "deployment/wandb-app", "--timeout=120s")
	eventually(t, time.Minute, func() string {
		for _, p := range pods(t, namespace, "app.kubernetes.io/instance=wandb,app.kubernetes.io/name=app") {
			if p.ready() {
				name = p.Metadata.Name
				return ""
			}
		}
		return "no pod of the application is ready"
	})
	return name
}

// admin runs a command of the administrator in a pod of the application. kubectl's own choice, of a Deployment, may be a
// pod that is on its way out, and would take the command with it.
func admin(t *testing.T, arguments ...string) string {
	t.Helper()
	return shell(t, "kubectl", append([]string{"exec", applicationPod(t), "--", "server", "admin"}, arguments...)...)
}
