package release

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

type recorded struct{ count int }

func (r *recorded) RoundTrip(*http.Request) (*http.Response, error) {
	r.count++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestFenceRefusesWritesWithoutAFreshLease(t *testing.T) {
	tests := map[string]struct {
		method, path string
		// held is the age of the last renewal of each Lease that the process holds.
		held []time.Duration
		want bool
	}{
		"should let reads through without any Lease":     {method: http.MethodGet, path: "/api/v1/secrets", want: true},
		"should refuse a write without any Lease":        {method: http.MethodPatch, path: "/api/v1/namespaces/ns/secrets/x"},
		"should let access reviews through":              {method: http.MethodPost, path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", want: true},
		"should let a write through with a fresh Lease":  {method: http.MethodPost, path: "/api/v1/namespaces/ns/secrets", held: []time.Duration{time.Second}, want: true},
		"should refuse a write with a Lease of long ago": {method: http.MethodPost, path: "/api/v1/namespaces/ns/secrets", held: []time.Duration{fenceAfter}},
		"should refuse a write while any Lease is old":   {method: http.MethodDelete, path: "/x", held: []time.Duration{time.Second, time.Minute}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			locker := &Locker{Now: func() time.Time { return now }}
			for _, age := range test.held {
				locker.track(&Held{locker: locker, renewed: now.Add(-age)})
			}
			next := &recorded{}
			_, err := locker.Fence(next).RoundTrip(httptest.NewRequest(test.method, "https://api"+test.path, nil))
			if passed := err == nil && next.count == 1; passed != test.want {
				t.Errorf("passed = %t (%v), want %t", passed, err, test.want)
			}
			if !test.want && !errors.Is(err, errFenced) {
				t.Errorf("error %v does not say that the fence is closed", err)
			}
		})
	}
}

func TestFenceClosesWhenThePauseOfTheProcessOutlastsTheLease(t *testing.T) {
	now := time.Now()
	locker := &Locker{Now: func() time.Time { return now }}
	locker.track(&Held{locker: locker, renewed: now})
	send := func() error {
		_, err := locker.Fence(&recorded{}).RoundTrip(httptest.NewRequest(http.MethodPut, "https://api/x", nil))
		return err
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if err := send(); !errors.Is(err, errFenced) {
		t.Errorf("a write after a pause of a minute gave %v", err)
	}
}

func TestLockIsHeldByOther(t *testing.T) {
	tests := map[string]struct {
		lock Lock
		want bool
	}{
		"free":                          {Lock{}, false},
		"ours":                          {Lock{Holder: "me", Ours: true}, false},
		"renewed lately":                {Lock{Holder: "other"}, true},
		"renewed lately, pod gone":      {Lock{Holder: "other", HolderGone: true}, true},
		"ran out, pod there":            {Lock{Holder: "other", Expired: true}, true},
		"ran out, and the pod is gone":  {Lock{Holder: "other", Expired: true, HolderGone: true}, false},
		"ours from before, by identity": {Lock{Holder: "me", Ours: true, Expired: true}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.lock.HeldByOther(); got != test.want {
				t.Errorf("HeldByOther = %t, want %t", got, test.want)
			}
		})
	}
}
