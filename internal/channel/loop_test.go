package channel_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// vendor is a deploy server inside a synctest bubble: a transport without sockets, so that time may be simulated.
type vendor struct {
	mu      sync.Mutex
	id      string
	changed chan struct{}
	// holds tells whether it honours "Prefer: wait", tags whether it sends entity tags.
	holds, tags bool
	// refuse, when set, answers instead.
	refuse func(*http.Request) (*http.Response, error)
	// at is when each request came.
	at []time.Time
}

func newVendor(id string) *vendor {
	return &vendor{id: id, changed: make(chan struct{}), holds: true, tags: true}
}

func (v *vendor) publish(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.id = id
	close(v.changed)
	v.changed = make(chan struct{})
}

func (v *vendor) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

func (v *vendor) requests() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.at)
}

func answerOf(status int, body string, headers ...string) *http.Response {
	response := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i+1 < len(headers); i += 2 {
		response.Header.Set(headers[i], headers[i+1])
	}
	return response
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	v.at = append(v.at, time.Now())
	id, changed, holds, tags, refuse := v.id, v.changed, v.holds, v.tags, v.refuse
	v.mu.Unlock()
	if refuse != nil {
		return refuse(r)
	}
	applied := ""
	if r.Header.Get("Prefer") != "" && holds {
		applied = r.Header.Get("Prefer")
	}
	match := r.Header.Get("If-None-Match")
	if match == `"`+id+`"` && applied != "" {
		wait, err := time.ParseDuration(strings.TrimPrefix(applied, "wait=") + "s")
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-changed:
			v.mu.Lock()
			id = v.id
			v.mu.Unlock()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	headers := []string{"Preference-Applied", applied}
	if tags {
		headers = append(headers, "ETag", `"`+id+`"`)
		if match == `"`+id+`"` {
			return answerOf(http.StatusNotModified, "", headers...), nil
		}
	}
	return answerOf(http.StatusOK, documentOf(id), headers...), nil
}

func follow(t *testing.T, v *vendor) *channel.Follower {
	t.Helper()
	f := newFollower(t, channel.Options{Transport: v})
	f.Follow(channel.Subscription{Key: key})
	return f
}

func latest(t *testing.T, f *channel.Follower) channel.Snapshot {
	t.Helper()
	synctest.Wait()
	snapshot, ok := f.Latest(key)
	if !ok {
		t.Fatal("the subscription is not followed")
	}
	return snapshot
}

func drain(f *channel.Follower) (count int) {
	for {
		synctest.Wait()
		select {
		case <-f.Changes():
			count++
		default:
			return count
		}
	}
}

func TestAPublishIsNoticedAtOnceAndQuietTimesStayQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		f := follow(t, v)
		first := latest(t, f)
		if first.Release == nil || first.Release.ID() != "1" || first.ETag != `"1"` || first.FromCache || first.Err != nil {
			t.Fatalf("first = %+v", first)
		}
		if number, _ := first.Release.Values["n"].(int64); number != 9007199254740993 {
			t.Errorf("a whole number lost digits: %d", number)
		}
		if drain(f) != 1 {
			t.Error("the first release must be announced once")
		}
		time.Sleep(10*time.Minute + time.Second)
		if n := v.requests(); n > 23 {
			t.Errorf("%d requests in ten quiet minutes, want one for every 30 s", n)
		}
		if drain(f) != 0 {
			t.Error("nothing changed and somebody was woken")
		}
		if checked := latest(t, f).CheckedAt; time.Since(checked) > 31*time.Second {
			t.Errorf("CheckedAt is %s old", time.Since(checked))
		}
		began := time.Now()
		v.publish("2")
		if got := latest(t, f); got.Release.ID() != "2" || time.Since(began) > 0 {
			t.Errorf("after the publish: release %s after %s, want 2 at once", got.Release.ID(), time.Since(began))
		}
		if drain(f) != 1 {
			t.Error("the publish must be announced once")
		}
	})
}

func TestAServerThatDoesNotHoldIsPolledWithJitter(t *testing.T) {
	for name, tags := range map[string]bool{"with entity tags": true, "without (today's server)": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVendor("1")
				v.holds, v.tags = false, tags
				f := follow(t, v)
				drain(f)
				time.Sleep(time.Hour)
				if drain(f) != 0 {
					t.Error("nothing changed and somebody was woken")
				}
				if n := v.requests(); n < 10 || n > 18 {
					t.Errorf("%d requests in an hour, want about one every five minutes", n)
				}
				v.set(func() {
					gaps := map[time.Duration]bool{}
					for i := 2; i < len(v.at); i++ {
						gap := v.at[i].Sub(v.at[i-1])
						gaps[gap] = true
						if gap < 4*time.Minute || gap > 6*time.Minute {
							t.Errorf("gap of %s, want five minutes ± 20 %%", gap)
						}
					}
					if len(gaps) < 3 {
						t.Error("the gaps have no jitter")
					}
				})
				v.publish("2")
				time.Sleep(6 * time.Minute)
				if got := latest(t, f).Release.ID(); got != "2" {
					t.Errorf("release %s, want 2 after the next poll", got)
				}
			})
		})
	}
}

func TestAServerThatMisusesThePreferenceIsNotHammered(t *testing.T) {
	cases := map[string]func(v *vendor) func(*http.Request) (*http.Response, error){
		"says it waits and answers at once": func(*vendor) func(*http.Request) (*http.Response, error) {
			return func(*http.Request) (*http.Response, error) {
				return answerOf(200, documentOf("1"), "ETag", `"1"`, "Preference-Applied", "wait=30"), nil
			}
		},
		"another release each time": func(v *vendor) func(*http.Request) (*http.Response, error) {
			return func(*http.Request) (*http.Response, error) {
				id := time.Now().String() + strings.Repeat("x", v.requests())
				return answerOf(200, documentOf(id), "ETag", `"`+id+`"`, "Preference-Applied", "wait=30"), nil
			}
		},
		"304 for ever": func(*vendor) func(*http.Request) (*http.Response, error) {
			return func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("If-None-Match") != "" {
					return answerOf(304, "", "Preference-Applied", "wait=30"), nil
				}
				return answerOf(200, documentOf("1"), "ETag", `"1"`), nil
			}
		},
	}
	for name, refuse := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVendor("1")
				v.refuse = refuse(v)
				follow(t, v)
				time.Sleep(10 * time.Minute)
				if n := v.requests(); n > 610 {
					t.Errorf("%d requests in ten minutes", n)
				}
			})
		})
	}
}

func TestAChangedAnswerDoesNotCountAsUnheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		v.refuse = func(r *http.Request) (*http.Response, error) {
			switch r.Header.Get("If-None-Match") {
			case "":
				return answerOf(200, documentOf("1"), "ETag", `"1"`), nil
			case `"1"`:
				return answerOf(200, documentOf("2"), "ETag", `"2"`), nil
			default:
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
		}
		follow(t, v)
		time.Sleep(time.Second)
		if n := v.requests(); n != 3 {
			t.Errorf("%d requests, want the third one to be waiting", n)
		}
	})
}

func TestFailuresBackOffAndRecoveryIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		f := follow(t, v)
		drain(f)
		v.set(func() {
			v.refuse = func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
		})
		time.Sleep(time.Hour)
		got := latest(t, f)
		if fault.Reason(got.Err, "") != channel.ReasonUnreachable || got.Release == nil || got.Release.ID() != "1" {
			t.Fatalf("while away: %+v, want Unreachable beside the last release", got)
		}
		if drain(f) != 1 {
			t.Error("an outage must be announced once")
		}
		v.set(func() {
			for i := 1; i < len(v.at); i++ {
				if gap := v.at[i].Sub(v.at[i-1]); gap > channel.DefaultMaxBackoff {
					t.Errorf("gap of %s, beyond the longest pause", gap)
				}
			}
			if len(v.at) < 30 || len(v.at) > 200 {
				t.Errorf("%d attempts in an hour", len(v.at))
			}
			v.refuse = nil
		})
		time.Sleep(channel.DefaultMaxBackoff)
		if got := latest(t, f); got.Err != nil || time.Since(got.CheckedAt) > channel.DefaultMaxBackoff {
			t.Errorf("after the outage: %+v", got)
		}
		if drain(f) != 1 {
			t.Error("the recovery must be announced once")
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds": func() string { return "90" },
		"a date":  func() string { return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVendor("1")
				v.refuse = func(*http.Request) (*http.Response, error) {
					return answerOf(503, "", "Retry-After", header()), nil
				}
				follow(t, v)
				time.Sleep(89 * time.Second)
				if n := v.requests(); n != 1 {
					t.Errorf("%d requests before the time the server named", n)
				}
				time.Sleep(3 * time.Second)
				if n := v.requests(); n != 2 {
					t.Errorf("%d requests after it, want 2", n)
				}
			})
		})
	}
}

func TestASlowServerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		v.refuse = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		f := follow(t, v)
		time.Sleep(31 * time.Second)
		if got := latest(t, f); fault.Reason(got.Err, "") != channel.ReasonTimedOut {
			t.Errorf("%v, want TimedOut", got.Err)
		}
	})
}

func TestASeedServesUntilTheServerSpeaks(t *testing.T) {
	release, err := catalog.Parse([]byte(documentOf("1")))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		away := func(*http.Request) (*http.Response, error) { return nil, errors.New("away") }
		v.refuse = away
		f := newFollower(t, channel.Options{Transport: v})
		sub := channel.Subscription{Key: key}
		f.Seed(key, channel.Cached{Scope: "of another licence", Release: release})
		f.Follow(sub)
		if got := latest(t, f); got.Release != nil {
			t.Error("a stored answer of another scope is used")
		}
		f.Seed(key, channel.Cached{Scope: sub.Scope(), Release: release, ETag: `"1"`})
		f.Seed(key, channel.Cached{Scope: sub.Scope()})
		if got := latest(t, f); got.Release == nil || !got.FromCache || got.Err == nil || !got.CheckedAt.IsZero() {
			t.Errorf("snapshot = %+v, want the stored release beside the failure", got)
		}
		drain(f)
		v.set(func() { v.refuse = nil })
		time.Sleep(channel.DefaultMaxBackoff)
		if got := latest(t, f); got.FromCache || got.Err != nil || got.CheckedAt.IsZero() {
			t.Errorf("snapshot = %+v, want the seed confirmed by a 304", got)
		}
		if drain(f) != 1 {
			t.Error("the confirmation must be announced once")
		}
	})
}

func TestAChangedSubscriptionForgetsWhatTheOldOneLearnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		f := follow(t, v)
		latest(t, f)
		before := v.requests()
		f.Follow(channel.Subscription{Key: key})
		synctest.Wait()
		if v.requests() != before {
			t.Error("following the same again asks again")
		}
		v.set(func() { v.refuse = func(*http.Request) (*http.Response, error) { return nil, errors.New("away") } })
		f.Follow(channel.Subscription{Key: key, Pin: "7"})
		if got := latest(t, f); got.Release != nil {
			t.Errorf("release %s answers for another pin", got.Release.ID())
		}
		f.Forget(key)
		if _, ok := f.Latest(key); ok {
			t.Error("a forgotten subscription is still known")
		}
		f.Forget(types.NamespacedName{Name: "never seen"})
		before = v.requests()
		time.Sleep(time.Hour)
		if v.requests() != before {
			t.Error("a forgotten subscription still asks")
		}
	})
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		f := newFollower(t, channel.Options{Transport: newVendor("1")})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Start(ctx) }()
		for _, name := range []string{"a", "b", "c"} {
			f.Follow(channel.Subscription{Key: types.NamespacedName{Name: name}})
		}
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		f.Close()
		f.Follow(channel.Subscription{Key: key})
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines after Close, %d before", after, before)
		}
		for range f.Changes() {
			t.Error("a change after Close")
		}
	})
}

func TestAPromotionDuringVerificationRaisesNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor("1")
		pointer := "1"
		verify := verifier(func(_ context.Context, _ channel.Subscription, release *catalog.Release) error {
			signed := false
			v.set(func() {
				signed = release.ID() == pointer
				v.id = pointer // The server catches up with its catalog a moment later.
			})
			if signed {
				return nil
			}
			return &fault.Error{Reason: channel.ReasonRollbackDetected, Op: "verify channel"}
		})
		f := newFollower(t, channel.Options{Transport: v, Trust: channel.TrustSigned, Verifier: verify})
		f.Follow(channel.Subscription{Key: key})
		if got := latest(t, f); got.Err != nil || got.Release.ID() != "1" {
			t.Fatalf("first = %+v", got)
		}
		drain(f)
		v.set(func() { pointer = "2" })
		time.Sleep(31 * time.Second)
		if got := latest(t, f); got.Err != nil || got.Release.ID() != "2" {
			t.Errorf("after the promotion: %+v", got)
		}
		if n := drain(f); n != 1 {
			t.Errorf("%d announcements, want one and no alarm", n)
		}
		v.set(func() {
			pointer = "3"
			v.refuse = func(*http.Request) (*http.Response, error) {
				return answerOf(200, documentOf("2"), "ETag", `"2"`), nil
			}
		})
		time.Sleep(31 * time.Second)
		if got := latest(t, f); fault.Reason(got.Err, "") != channel.ReasonRollbackDetected || got.Release.ID() != "2" {
			t.Errorf("an older release that stays: %+v, want the alarm", got)
		}
	})
}

func TestASeedThatIsNotSignedIsDropped(t *testing.T) {
	release, err := catalog.Parse([]byte(documentOf("1")))
	if err != nil {
		t.Fatal(err)
	}
	for reason, kept := range map[string]bool{channel.ReasonUnsigned: false, channel.ReasonSignatureInvalid: false, channel.ReasonMetadataExpired: true} {
		synctest.Test(t, func(t *testing.T) {
			refuse := verifier(func(context.Context, channel.Subscription, *catalog.Release) error {
				return &fault.Error{Reason: reason, Op: "verify release"}
			})
			f := newFollower(t, channel.Options{Transport: newVendor("1"), Trust: channel.TrustSigned, Verifier: refuse})
			sub := channel.Subscription{Key: key}
			f.Seed(key, channel.Cached{Scope: sub.Scope(), Release: release, ETag: `"1"`})
			f.Follow(sub)
			if got := latest(t, f); (got.Release != nil) != kept || fault.Reason(got.Err, "") != reason {
				t.Errorf("%s: release %v beside %v, want it kept: %v", reason, got.Release, got.Err, kept)
			}
		})
	}
}
