package chaos

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubewandb/kubewandb/internal/operator"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

const (
	// pause is how long the leader stands still: four times as long as its Leases count.
	pause = 60 * time.Second
	// respect is how long the pod of the paused leader still exists. Its Leases have run out by then, and still nobody
	// may take its work over: it might wake up.
	respect = 30 * time.Second

	// takeover is how long the successor may take. It has to become the leader first, and an attempt that somebody else's
	// death cut short may be spaced out like a failure.
	takeover = 4 * time.Minute

	auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n" +
		"  - {level: None, verbs: [get, list, watch]}\n  - {level: Metadata}\n"
)

// audited is an API server of its own that writes down who wrote what.
type audited struct {
	environment *envtest.Environment
	log         string
}

func newAudited(t *testing.T) *audited {
	t.Helper()
	folder := t.TempDir()
	policy := filepath.Join(folder, "policy.yaml")
	must(t, os.WriteFile(policy, []byte(auditPolicy), 0o600))
	a := &audited{log: filepath.Join(folder, "audit.log"), environment: &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join(testenv.Root(t), "charts", "operator", "crds")}, ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: 3 * time.Minute, ControlPlaneStopTimeout: time.Minute,
	}}
	a.environment.ControlPlane.GetAPIServer().Configure().Append("audit-policy-file", policy).Append("audit-log-path", a.log)
	_, err := a.environment.Start()
	t.Cleanup(func() { _ = a.environment.Stop() })
	must(t, err)
	return a
}

// as returns the configuration of a user with all rights, who has a name of his own in the log.
func (a *audited) as(t *testing.T, name string) *rest.Config {
	t.Helper()
	user, err := a.environment.AddUser(envtest.User{Name: name, Groups: []string{"system:masters"}}, nil)
	must(t, err)
	return user.Config()
}

// entry is a line of the audit log.
type entry struct {
	Verb, RequestURI         string
	User                     struct{ Username string }
	ObjectRef                struct{ Resource, Subresource, Namespace, Name string }
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
}

func (e entry) succeeded() bool { return e.ResponseStatus.Code >= 200 && e.ResponseStatus.Code < 300 }

func (e entry) ofRelease() bool {
	// A created object has its name in the body, which is not logged; our creations of Secrets carry it in no other way.
	return e.ObjectRef.Resource == "secrets" && (strings.HasPrefix(e.ObjectRef.Name, "sh.helm.release.v1.") || e.Verb == "create")
}

// entries reads what happened in a namespace, in order.
func (a *audited) entries(t *testing.T, namespace string) []entry {
	t.Helper()
	file, err := os.Open(a.log)
	must(t, err)
	defer func() { _ = file.Close() }()
	var found []entry
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e entry
		if json.Unmarshal(scanner.Bytes(), &e) == nil && e.ObjectRef.Namespace == namespace {
			found = append(found, e)
		}
	}
	must(t, scanner.Err())
	slices.SortStableFunc(found, func(a, b entry) int { return a.RequestReceivedTimestamp.Compare(b.RequestReceivedTimestamp) })
	return found
}

// TestOneActorWhenTheLeaderIsLost stops the leader of two replicas in the middle of an upgrade.
func TestOneActorWhenTheLeaderIsLost(t *testing.T) {
	t.Parallel()
	server := newAudited(t)
	scenarios := map[string]lostLeader{
		"paused while it applies objects":            {write: "PATCH configmaps/wandb-config", nth: 1},
		"paused while it ends the release":           {write: "PUT secrets/sh.helm.release.v1.wandb.v2", nth: 2},
		"paused before its first write to Helm":      {write: "POST secrets", nth: 1},
		"killed while it applies objects":            {write: "PATCH configmaps/wandb-config", nth: 1, killed: true},
		"killed while a hook of the chart runs":      {write: "PATCH jobs/wandb-migrate", nth: 1, killed: true},
		"killed between the end and writing it down": {write: "PUT secrets/wandb-spec-active", nth: 1, killed: true},
	}
	parts := map[string]func(*testing.T){}
	for name, scenario := range scenarios {
		parts[name] = func(t *testing.T) { scenario.play(t, server, strings.ReplaceAll(name, " ", "-")) }
	}
	together(t, len(parts), parts)
}

// lostLeader is a leader that is lost at a write: the nth of that name in the upgrade.
type lostLeader struct {
	write  string
	nth    int
	killed bool
}

func (l lostLeader) play(t *testing.T, server *audited, name string) {
	p := newPlace(t, server.as(t, "test-"+name))
	old, successor := "old-"+name, "new-"+name
	before, after := newProxy(t, server.as(t, old)), newProxy(t, server.as(t, successor))
	for _, pod := range []string{"operator-1", "operator-2"} {
		must(t, p.api.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: pod},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "manager"}}},
		}))
	}
	p.create()
	first := p.start("operator-1", before, "LEADER_ELECT=true")
	p.awaitRelease("v1", "1", patience)
	treasure := p.treasure()
	second, end := p.keep("operator-2", after, "LEADER_ELECT=true")
	t.Cleanup(end)
	eventually(t, "the second replica waits for the Lease", patience, func() bool {
		return strings.Contains(second().log.String(), "acquire leader lease")
	}, second().log.String)

	lost, resume := l.lose(before, first)
	p.vendor.Publish("v2", "2.0.0", map[string]any{"tag": "2"})
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatalf("the upgrade never came to %s; it wrote %v", l.write, before.written())
	}
	began := time.Now()
	if !l.killed {
		p.assertRespected(began)
	}
	must(t, p.api.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "operator-1"}},
		client.GracePeriodSeconds(0)))
	p.awaitRelease("v2", "2", takeover)
	t.Logf("the successor finished %s after the leader was lost; revisions %v", time.Since(began).Round(time.Second), p.revisions())
	if !l.killed {
		linger(pause - time.Since(began))
		must(t, first.command.Process.Signal(syscall.SIGCONT))
		close(resume)
		select {
		case <-first.done:
			t.Logf("the old process ended: %v", first.err)
		case <-time.After(patience):
			t.Error("the old process goes on without its Leases")
		}
	}
	p.awaitRelease("v2", "2", patience)
	p.assertUpgraded(treasure)
	p.assertNothingFailed()
	server.assertOneActor(t, p.namespace, old, successor)
	end()
}

// assertNothingFailed: a process that was woken after its successor had finished used to write down a failure of the
// release that runs, which would have been rolled back or never tried again.
func (p *place) assertNothingFailed() {
	p.t.Helper()
	active := &corev1.Secret{}
	must(p.t, p.api.Get(p.t.Context(), types.NamespacedName{Namespace: p.namespace, Name: release.ActiveName("wandb")}, active))
	if failures := string(active.Data[release.KeyFailures]); failures != "[]" {
		p.t.Errorf("the memory holds failures of a release that runs: %s", failures)
	}
}

// lose stops or kills a process at the moment of a write. A write of a paused process stays on its way until resume is
// closed: the network may hold it for as long as it likes.
func (l lostLeader) lose(through *proxy, leader *process) (lost, resume chan struct{}) {
	lost, resume = make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	seen := 0
	through.arm(func(_ int, write string, answered bool) bool {
		if answered || !matches(write, l.write) {
			return true
		}
		mu.Lock()
		seen++
		reached := seen == l.nth
		mu.Unlock()
		if !reached {
			return true
		}
		if l.killed {
			_ = leader.command.Process.Kill()
			close(lost)
			return true
		}
		_ = leader.command.Process.Signal(syscall.SIGSTOP)
		close(lost)
		<-resume
		return true
	})
	return lost, resume
}

// matches compares "PATCH /api/v1/namespaces/x/configmaps/y" with "PATCH configmaps/y".
func matches(write, wanted string) bool {
	method, path, _ := strings.Cut(write, " ")
	wantedMethod, suffix, _ := strings.Cut(wanted, " ")
	return method == wantedMethod && strings.HasSuffix(path, "/"+suffix)
}

// assertRespected shows that nobody touches a release while the pod of its paused actor exists.
func (p *place) assertRespected(began time.Time) {
	p.t.Helper()
	before := p.revisions()
	holder := func() string {
		lease := &coordinationv1.Lease{}
		p.find(lease, "wandb-helm")
		return ptr.Deref(lease.Spec.HolderIdentity, "")
	}
	if !strings.Contains(holder(), "/operator-1/") {
		p.t.Fatalf("Lease wandb-helm is held by %q in the middle of an upgrade", holder())
	}
	linger(respect - time.Since(began))
	if now := p.revisions(); !slices.Equal(now, before) || !strings.Contains(holder(), "/operator-1/") {
		p.t.Errorf("somebody took the release over while the pod of its actor exists: revisions %v, then %v, Lease of %s", before, now, holder())
	}
}

// assertOneActor reads the audit log: the old process wrote to Helm's storage before its successor became the leader, and
// never after.
func (a *audited) assertOneActor(t *testing.T, namespace, old, successor string) {
	t.Helper()
	entries := a.entries(t, namespace)
	var taken time.Time
	made := 0
	for _, e := range entries {
		if taken.IsZero() && e.User.Username == successor && e.ObjectRef.Resource == "leases" && e.ObjectRef.Name == operator.LeaderElectionID && e.succeeded() {
			taken = e.RequestReceivedTimestamp
		}
		if e.User.Username == old && e.succeeded() && e.ofRelease() {
			made++
		}
	}
	if taken.IsZero() || made == 0 {
		t.Fatalf("the audit log shows a takeover at %s and %d writes of the old process to Helm's storage, want both", taken, made)
	}
	for _, e := range entries {
		if e.User.Username != old || !e.RequestReceivedTimestamp.After(taken) {
			continue
		}
		t.Logf("%s after the takeover the old process sent %s %s: %d", e.RequestReceivedTimestamp.Sub(taken).Round(time.Second),
			e.Verb, e.RequestURI, e.ResponseStatus.Code)
		if e.succeeded() && e.ofRelease() {
			t.Errorf("the old process wrote to Helm's storage after the takeover: %s %s", e.Verb, e.RequestURI)
		}
	}
}
