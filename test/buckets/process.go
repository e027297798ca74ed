package buckets

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/netns"
)

const startTimeout = time.Minute

// output is what a store prints, which a failing test shows.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-2000):]
}

// start runs a store until the test ends, and waits until it answers at its URL.
func start(t testing.TB, url string, environment []string, program string, arguments ...string) {
	t.Helper()
	startAt(t, netns.Place{}, url, environment, program, arguments...)
}

func startAt(t testing.TB, place netns.Place, url string, environment []string, program string, arguments ...string) {
	t.Helper()
	var printed output
	cmd := exec.Command(program, arguments...)
	cmd.Dir, cmd.Env = t.TempDir(), append(cmd.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = &printed, &printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the system ends the process with the thread that started it
		err := place.Enter()
		if err == nil {
			err = cmd.Start()
		}
		if started <- err; err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := visitor(place)
	for !answers(ctx, client, url) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer at %s: %s", program, url, printed.tail())
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v: %s", program, err, printed.tail())
		case <-tick.C:
		}
	}
}

// visitor is a client inside of the store's network namespace.
func visitor(place netns.Place) *http.Client {
	if place.Namespace == "" {
		return http.DefaultClient
	}
	return &http.Client{Transport: &http.Transport{DialContext: place.Dial, DisableKeepAlives: true}}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := client.Do(r)
	return err == nil && answer.Body.Close() == nil
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
