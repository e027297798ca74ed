package deploy_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// hold sends a held request and returns when the server is holding it.
func (r *running) hold(path string, licence redact.Secret, wait string) <-chan seen {
	r.t.Helper()
	etag := r.ask(path, licence).header.Get("ETag")
	if etag == "" {
		r.t.Fatal("there is nothing to hold")
	}
	before := r.held()
	answers := make(chan seen, 1)
	go func() {
		got, err := r.try(context.Background(), path, licence, "If-None-Match", etag, "Prefer", "wait="+wait)
		if err != nil {
			r.t.Errorf("held request: %v", err)
		}
		answers <- got
	}()
	eventually(r.t, "holding the request", func() bool { return r.held() != before })
	return answers
}

func TestAPromotionWakesHeldRequestsAtOnce(t *testing.T) {
	server := start(t, "")
	server.channel("beta", "stable")
	server.channel("other", "")
	server.publish("v1", "stable")
	server.publish("o1", "other")
	followers := map[string]<-chan seen{}
	for _, channel := range []string{"stable", "beta"} {
		followers[channel] = server.hold(channelPath, server.license(channel).Token, "30")
	}
	unconcerned := server.hold(channelPath, server.license("other").Token, "2")
	release := server.publish("v2", "")
	began := time.Now()
	if _, err := server.client.Promote(t.Context(), "stable", admin.NewPromotion{Release: release.ID}); err != nil {
		t.Fatal(err)
	}
	for channel, answers := range followers {
		got := <-answers
		if got.status != 200 || got.header.Get("Preference-Applied") != "wait=30" {
			t.Errorf("%s: %d, Preference-Applied %q, want 200", channel, got.status, got.header.Get("Preference-Applied"))
		}
		if late := time.Since(began); late > 15*time.Second { // half of the time that it would have been held
			t.Errorf("%s: woken after %s", channel, late)
		}
	}
	if got := <-unconcerned; got.status != 304 || got.took < 1900*time.Millisecond {
		t.Errorf("another channel: %d after %s, want 304 when its time is over", got.status, got.took)
	}
}

func TestAHeldRequestEndsWithItsTime(t *testing.T) {
	server := start(t, "")
	release := server.publish("v1", "stable")
	for name, path := range map[string]string{"channel": channelPath, "pin": channelPath + "/release/" + release.ID} {
		if got := <-server.hold(path, "", "1"); got.status != 304 || got.took < 900*time.Millisecond || got.took > 15*time.Second || got.header.Get("Preference-Applied") != "wait=1" {
			t.Errorf("%s: %d after %s, Preference-Applied %q", name, got.status, got.took, got.header.Get("Preference-Applied"))
		}
	}
	if server.held() != "0" {
		t.Errorf("%s requests are still counted as held", server.held())
	}
}

func TestAPinnedFollowerIsNotWokenWithAnotherRelease(t *testing.T) {
	server := start(t, "")
	release := server.publish("v1", "stable")
	answers := server.hold(channelPath+"/release/"+release.ID, "", "1")
	server.publish("v2", "stable")
	if got := <-answers; got.status != 304 || got.took < 900*time.Millisecond {
		t.Errorf("%d after %s, want 304 when its time is over", got.status, got.took)
	}
	if got := server.ask(channelPath+"/release/"+release.ID, ""); got.status != 200 || got.header.Get("ETag") == server.ask(channelPath, "").header.Get("ETag") {
		t.Errorf("the pin gives %d and the channel's document", got.status)
	}
}

func TestARevocationReachesAHeldRequest(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	issued, other := server.license("stable"), server.license("stable")
	answers, unconcerned := server.hold(channelPath, issued.Token, "30"), server.hold(channelPath, other.Token, "2")
	if _, err := server.client.RevokeLicense(t.Context(), issued.ID, admin.Revocation{By: "ada", Reason: "unpaid"}); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.status != 403 || got.took > 5*time.Second {
		t.Errorf("revoked: %d after %s, want 403 at once", got.status, got.took)
	}
	if got := <-unconcerned; got.status != 304 || got.took < 1900*time.Millisecond {
		t.Errorf("another licence: %d after %s, want 304 when its time is over", got.status, got.took)
	}
}

func TestBeyondTheBoundFollowersAreSentAway(t *testing.T) {
	server := start(t, "", func(c *deploy.Config) { c.MaxHeld = 2 })
	server.publish("v1", "stable")
	first, second := server.hold(channelPath, "", "2"), server.hold(channelPath, "", "2")
	etag := server.ask(channelPath, "").header.Get("ETag")
	pauses := map[int]bool{}
	for range 10 {
		got := server.ask(channelPath, "", "If-None-Match", etag, "Prefer", "wait=30")
		seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
		if got.status != 503 || err != nil || seconds < 5 || seconds > 30 {
			t.Fatalf("%d with Retry-After %q, want 503 and 5 to 30", got.status, got.header.Get("Retry-After"))
		}
		pauses[seconds] = true
	}
	if len(pauses) < 2 {
		t.Error("Retry-After has no jitter")
	}
	if got := server.ask(channelPath, "", "If-None-Match", etag); got.status != 304 {
		t.Errorf("a request that does not wait: %d, want it answered", got.status)
	}
	<-first
	<-second
	if got := <-server.hold(channelPath, "", "1"); got.status != 304 {
		t.Errorf("after places became free: %d", got.status)
	}
}

func TestAFollowerThatLeavesFreesItsPlace(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	etag := server.ask(channelPath, "").header.Get("ETag")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := server.try(ctx, channelPath, "", "If-None-Match", etag, "Prefer", "wait=60")
		left <- err
	}()
	eventually(t, "holding the request", func() bool { return server.held() == "1" })
	cancel()
	if err := <-left; err == nil {
		t.Error("the request was answered")
	}
	eventually(t, "freeing the place", func() bool { return server.held() == "0" })
}

func TestShutdownReleasesHeldRequestsPromptly(t *testing.T) {
	server := start(t, "")
	server.publish("v1", "stable")
	var held []<-chan seen
	for range 5 {
		held = append(held, server.hold(channelPath, "", "60"))
	}
	began := time.Now()
	server.stop()
	for _, answers := range held {
		if got := <-answers; got.status != 304 {
			t.Errorf("status %d, want 304", got.status)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("stopping took %s, want less than a second", took)
	}
}
