package drift

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// patience is how long a change may take to be noticed on a busy machine.
const patience = time.Minute

// bench is a release in a namespace of its own, applied as Helm applies it, and a watcher that looks at it.
type bench struct {
	t         *testing.T
	namespace string
	kube      *kubernetes.Clientset
	admin     *rest.Config
	watcher   *Watcher
	wakes     chan types.NamespacedName
	traffic   *traffic
	release   Release
	objects   []Object
}

// traffic counts what a transport sends.
type traffic struct {
	mu       sync.Mutex
	requests []string
	writes   []string
}

type tap struct {
	next    http.RoundTripper
	traffic *traffic
}

func (t *tap) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	line := request.Method + " " + request.URL.RequestURI()
	t.traffic.mu.Lock()
	if query.Get("watch") == "" {
		t.traffic.requests = append(t.traffic.requests, line)
	}
	if request.Method != http.MethodGet && query.Get("dryRun") != metav1.DryRunAll {
		t.traffic.writes = append(t.traffic.writes, line)
	}
	t.traffic.mu.Unlock()
	return t.next.RoundTrip(request)
}

func (t *traffic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.requests)
}

func (t *traffic) written() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.writes)
}

func newBench(t *testing.T, manifest string, change func(*Config)) *bench {
	t.Helper()
	b := &bench{
		t: t, namespace: testenv.Namespace(t), admin: testenv.Start(t), traffic: &traffic{},
		wakes: make(chan types.NamespacedName, 1000),
	}
	var err error
	if b.kube, err = kubernetes.NewForConfig(b.admin); err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		content := parse(t, document)
		metadata := inner(content, "metadata")
		namespace, _ := metadata["namespace"].(string)
		b.objects = append(b.objects, Object{
			APIVersion: content["apiVersion"].(string), Kind: content["kind"].(string),
			Namespace: namespace, Name: metadata["name"].(string), Content: content,
		})
	}
	b.release = Release{
		Key: types.NamespacedName{Namespace: b.namespace, Name: "demo"}, ID: "1",
		Manifest: func(context.Context) ([]Object, error) { return b.objects, nil },
	}
	config := Config{
		RESTConfig: testenv.Start(t), Namespaces: []string{b.namespace},
		// Nothing is polled, so that only a watch can tell.
		Poll: time.Hour, Debounce: 50 * time.Millisecond, Settle: 50 * time.Millisecond,
		Wake: func(key types.NamespacedName) { b.wakes <- key },
	}
	if change != nil {
		change(&config)
	}
	config.RESTConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return &tap{next: next, traffic: b.traffic} })
	if b.watcher, err = New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.watcher.Start(ctx); err != nil {
			t.Errorf("the watcher ended: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return b
}

// install applies the objects with all rights.
func (b *bench) install() *bench {
	b.t.Helper()
	examiner := b.examiner()
	for _, object := range b.objects {
		found, err := locate(b.watcher.config.Mapper, b.release, object)
		must(b.t, err)
		content, err := prepared(object, found.ref, b.release)
		must(b.t, err)
		_, err = examiner.apply(b.t.Context(), found, content, false)
		must(b.t, err)
	}
	return b
}

func (b *bench) examiner() *examiner {
	b.t.Helper()
	examiner, err := newExaminer(direct(b.admin), b.watcher.config.Mapper, b.release)
	must(b.t, err)
	return examiner
}

func (b *bench) look() Report {
	b.t.Helper()
	report, err := b.watcher.Look(b.t.Context(), b.release)
	must(b.t, err)
	if writes := b.traffic.written(); len(writes) > 0 {
		b.t.Fatalf("looking wrote: %v", writes)
	}
	return report
}

// await looks whenever the release is woken, until the report is as wanted.
func (b *bench) await(what string, done func(Report) bool) Report {
	b.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		report := b.look()
		if !report.CheckedAt.IsZero() && done(report) {
			return report
		}
		select {
		case <-b.wakes:
		case <-deadline.C:
			b.t.Fatalf("no %s after %s; the report is %+v", what, patience, report)
		}
	}
}

func (b *bench) awaitSync() Report {
	b.t.Helper()
	return b.await("sync", func(r Report) bool { return len(r.Drifted) == 0 && len(r.Uncompared) == 0 })
}

func (b *bench) awaitDrift(want ...appsv1.DriftStatus) {
	b.t.Helper()
	b.await(fmt.Sprintf("drift %+v", want), func(r Report) bool { return cmp.Equal(want, r.Drifted) })
}

// awaitWatches waits until a change of every object would be seen.
func (b *bench) awaitWatches() *bench {
	b.t.Helper()
	b.awaitSync()
	deadline := time.Now().Add(patience)
	for {
		missing := 0
		b.watcher.mu.Lock()
		for _, s := range b.watcher.releases {
			for _, object := range s.objects {
				if object.seen != object.checked {
					missing++
				}
			}
		}
		b.watcher.mu.Unlock()
		if missing == 0 {
			return b
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d objects are not seen by a watch", missing)
		}
		b.look()
		select {
		case <-b.wakes:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *bench) correct() Correction {
	b.t.Helper()
	correction, err := b.watcher.Correct(b.t.Context(), b.admin, b.release)
	must(b.t, err)
	return correction
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
