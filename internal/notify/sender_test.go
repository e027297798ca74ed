package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// patience is how long a test waits for something that takes well under a second on an idle machine.
const patience = 60 * time.Second

// canary stands in the path of the webhook, which is a credential.
const canary = "T0-canary-B0"

var installation = types.NamespacedName{Namespace: "team", Name: "wandb"}

// receiver is a webhook, and the sender that talks to it.
type receiver struct {
	server   *httptest.Server
	sender   *Sender
	outcomes chan Outcome
	stop     func()

	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
	logs   bytes.Buffer
}

func (r *receiver) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logs.Write(line)
}

func (r *receiver) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// receive starts a webhook that answers with answer, and a sender.
func receive(t *testing.T, answer http.HandlerFunc, change ...func(*Options)) *receiver {
	t.Helper()
	r := &receiver{outcomes: make(chan Outcome, 2*queueSize)}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.bodies, r.heads = append(r.bodies, body), append(r.heads, request.Header)
		r.mu.Unlock()
		answer(w, request)
	}))
	options := Options{
		URL:     func() (redact.Secret, error) { return redact.Secret(r.server.URL + "/" + canary), nil },
		Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(r, nil)),
		Report: func(_ Kind, outcome Outcome) { r.outcomes <- outcome },
	}
	for _, each := range change {
		each(&options)
	}
	r.sender = New(options)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.sender.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the sender ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("the sender did not end")
		}
	})
	t.Cleanup(func() {
		r.stop()
		r.server.Close()
		if strings.Contains(r.logs.String(), canary) {
			t.Errorf("the log shows the URL:\n%s", r.logs.String())
		}
	})
	return r
}

// tell queues one notification; each number is another change.
func (r *receiver) tell(number int) {
	before, after := state("Drifted=False InSync"), state("Drifted=True ObjectsChanged")
	after.Conditions[0].LastTransitionTime.Time = noon.Add(time.Duration(number) * time.Second)
	r.sender.Tell(installation, before, after, noon)
}

func (r *receiver) await(t *testing.T, want Outcome) {
	t.Helper()
	select {
	case got := <-r.outcomes:
		if got != want {
			t.Fatalf("outcome %s, want %s; log:\n%s", got, want, r.logs.String())
		}
	case <-time.After(patience):
		t.Fatalf("no outcome, want %s", want)
	}
}

func answers(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestNotificationArrivesOnceAndSigned(t *testing.T) {
	const key = "the signing key"
	r := receive(t, answers(http.StatusNoContent), func(o *Options) {
		o.Key = func() (redact.Secret, error) { return key, nil }
		o.UserAgent = "controller-manager/1"
	})
	r.tell(1)
	r.tell(1) // a state that flickers
	r.await(t, Delivered)
	r.tell(2)
	r.await(t, Delivered)
	if got := r.requests(); got != 2 {
		t.Fatalf("%d requests, want 2", got)
	}
	body, head := r.bodies[0], r.heads[0]
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	if got, want := head.Get(SignatureHeader), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"kind": "DriftDetected", "namespace": "team", "name": "wandb", "reason": "ObjectsChanged", "id": head.Get(IDHeader),
		"at": "2026-05-01T12:00:00Z", "message": "about ObjectsChanged",
		"text": "team/wandb: the installation was changed by somebody else (ObjectsChanged): about ObjectsChanged",
	} {
		if fields[field] != want || want == "" {
			t.Errorf("field %s is %q, want %q", field, fields[field], want)
		}
	}
	if head.Get("Content-Type") != "application/json" || head.Get("User-Agent") != "controller-manager/1" {
		t.Errorf("headers %v", head)
	}
}

func TestReceiverThatFailsIsAskedAgain(t *testing.T) {
	var calls atomic.Int32
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < Attempts {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	r.tell(1)
	r.await(t, Delivered)
	for i, head := range r.heads {
		if head.Get(IDHeader) != r.heads[0].Get(IDHeader) || !bytes.Equal(r.bodies[i], r.bodies[0]) {
			t.Errorf("attempt %d differs from the first", i+1)
		}
		if head.Get(SignatureHeader) != "" {
			t.Error("signed without a key")
		}
	}
	if got := r.requests(); got != Attempts {
		t.Errorf("%d attempts, want %d", got, Attempts)
	}
}

func TestReceiverThatStaysAwayIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   int
	}{
		"an error of the server":    {answers(http.StatusInternalServerError), Attempts},
		"too many requests":         {answers(http.StatusTooManyRequests), Attempts},
		"a refusal is final":        {answers(http.StatusForbidden), 1},
		"an address that is gone":   {answers(http.StatusGone), 1},
		"a connection that ends":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Attempts},
		"a header without an end":   {hugeHeader, Attempts},
		"an answer that is no HTTP": {noHTTP, Attempts},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t, c.answer)
			r.tell(1)
			r.await(t, Failed)
			if got := r.requests(); got != c.want {
				t.Errorf("%d attempts, want %d", got, c.want)
			}
			r.stop()
			if !strings.Contains(r.logs.String(), "notification not delivered") {
				t.Errorf("the log says %q", r.logs.String())
			}
		})
	}
}

func hugeHeader(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Long", strings.Repeat("a", 2*maxHeaders))
}

func noHTTP(w http.ResponseWriter, _ *http.Request) {
	connection, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = buffer.WriteString("what?\r\n")
	_ = buffer.Flush()
	_ = connection.Close()
}

func TestSlowReceiverMeetsTheDeadline(t *testing.T) {
	release := make(chan struct{})
	r := receive(t, func(_ http.ResponseWriter, request *http.Request) {
		select {
		case <-release:
		case <-request.Context().Done():
		}
	}, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	t.Cleanup(func() { close(release) })
	r.tell(1)
	r.await(t, Failed)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(elsewhere.Close)
	r := receive(t, func(w http.ResponseWriter, request *http.Request) {
		http.Redirect(w, request, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	r.tell(1)
	r.await(t, Failed)
	if followed.Load() || r.requests() != 1 {
		t.Errorf("followed: %v, requests: %d", followed.Load(), r.requests())
	}
}

func TestHugeAnswerIsNotRead(t *testing.T) {
	var written atomic.Int64
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 1024 {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	r.tell(1)
	r.await(t, Delivered)
	r.stop()
	r.server.Close() // returns when the handler has
	if got := written.Load(); got >= 1<<30 {
		t.Errorf("the receiver could write all of its %d bytes", got)
	}
}

func TestQueueIsBoundedAndNeverBlocks(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	r := receive(t, func(http.ResponseWriter, *http.Request) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
	})
	open := sync.OnceFunc(func() { close(release) })
	t.Cleanup(open)
	r.tell(0)
	<-entered
	for i := range queueSize + 3 {
		r.tell(i + 1)
	}
	for range 3 {
		r.await(t, Dropped)
	}
	open()
	for range queueSize + 1 {
		r.await(t, Delivered)
	}
}

func TestWhatWaitsIsSentBeforeTheEnd(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, func(o *Options) { o.Backoff = time.Hour })
	r.tell(1)
	r.tell(2)
	waitFor(t, "the first attempt", func() bool { return r.requests() == 1 })
	down.Store(false)
	r.stop()
	r.await(t, Delivered)
	r.await(t, Delivered)
}

func TestOnlyWantedKindsAreSent(t *testing.T) {
	r := receive(t, answers(http.StatusOK), func(o *Options) { o.Kinds = []Kind{RolledBack} })
	r.tell(1)
	r.sender.Tell(installation, state("Released=Unknown Progressing"), state("Released=True RolledBack"), noon)
	r.await(t, Delivered)
	if got := r.requests(); got != 1 || !strings.Contains(string(r.bodies[0]), `"kind":"RolledBack"`) {
		t.Errorf("%d requests, the first is %s", got, r.bodies[0])
	}
	var nobody *Sender
	nobody.Tell(installation, nil, state("Released=True RolledBack"), noon)
}

func TestRotatedURLCountsAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	write(t, file, "http://127.0.0.1:1/"+canary)
	r := receive(t, answers(http.StatusOK), func(o *Options) { o.URL = URLFile(file) })
	r.tell(1)
	r.await(t, Failed)
	write(t, file, r.server.URL+"/"+canary+"\n")
	r.tell(2)
	r.await(t, Delivered)
}

func TestBackoffGrowsAndIsSpread(t *testing.T) {
	s := New(Options{})
	for attempt := 1; attempt < 12; attempt++ {
		full := min(time.Second<<(attempt-1), backoffCap)
		for range 50 {
			if got := s.backoff(attempt); got < full/2 || got > full {
				t.Fatalf("pause %s after attempt %d, want between %s and %s", got, attempt, full/2, full)
			}
		}
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		want    redact.Secret
	}{
		"a URL with a line end": {" https://hooks.test/" + canary + " \n", "https://hooks.test/" + canary},
		"a URL in the cluster":  {"http://relay.monitoring:8080/x", "http://relay.monitoring:8080/x"},
		"another scheme":        {"file:///" + canary, ""},
		"no host":               {"https:///" + canary, ""},
		"no URL":                {"://" + canary + "\x7f", ""},
		"nothing":               {" \n", ""},
		"too much":              {"https://hooks.test/" + strings.Repeat("a", maxFile), ""},
	} {
		file := filepath.Join(dir, "url")
		write(t, file, c.content)
		got, err := URLFile(file)()
		if got != c.want {
			t.Errorf("%s: got %d bytes and %v", name, len(got), err)
		}
		checkFault(t, name, c.want == "", err)
	}
	_, err := KeyFile(filepath.Join(dir, "absent"))()
	checkFault(t, "no file", true, err)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func checkFault(t *testing.T, name string, wanted bool, err error) {
	t.Helper()
	if !wanted {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	if fault.Reason(err, "") != ReasonConfigInvalid || fault.Hint(err) == "" || strings.Contains(fmt.Sprintf("%+v %s", err, fault.Message(err)), canary) {
		t.Errorf("%s: %v", name, fault.Message(err))
	}
}

func TestParseKinds(t *testing.T) {
	if kinds, err := ParseKinds(nil); err != nil || len(kinds) != len(Kinds()) {
		t.Errorf("none: %v %v", kinds, err)
	}
	if kinds, err := ParseKinds([]string{"RolledBack"}); err != nil || len(kinds) != 1 {
		t.Errorf("one: %v %v", kinds, err)
	}
	if _, err := ParseKinds([]string{"Everything"}); fault.Reason(err, "") != ReasonConfigInvalid || !strings.Contains(fault.Hint(err), "LicenceEnding") {
		t.Errorf("unknown: %v", err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}
