package deploy

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
)

// holding counts held requests and ends them all when the server stops.
type holding struct {
	most    int64
	current atomic.Int64
	stop    chan struct{}
	once    sync.Once
}

func newHolding(most int) *holding { return &holding{most: int64(most), stop: make(chan struct{})} }

// enter takes a place, and returns false where none is left.
func (h *holding) enter() bool {
	if h.current.Add(1) > h.most {
		h.current.Add(-1)
		return false
	}
	return true
}

func (h *holding) leave()       { h.current.Add(-1) }
func (h *holding) count() int64 { return h.current.Load() }
func (h *holding) release()     { h.once.Do(func() { close(h.stop) }) }

func (h *holding) stopping() bool {
	select {
	case <-h.stop:
		return true
	default:
		return false
	}
}

// serveRelease answers the two requests of operators: what the licence's channel offers, or one release by its ID.
func (s *Server) serveRelease(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Vary", "Authorization")
	claims, err := s.customer(r)
	if err != nil {
		return err
	}
	name := claims.ChannelOrDefault()
	found, changed, err := s.offerFor(r.Context(), name, r.PathValue("id"))
	if err != nil {
		s.count(name, statusOf(err))
		return err
	}
	status, applied := http.StatusOK, time.Duration(0)
	if r.Header.Get("If-None-Match") != "" {
		applied = preferredWait(r.Header.Values("Prefer"))
	}
	if matches(r.Header.Get("If-None-Match"), found.etag) {
		if applied > 0 {
			if found, err = s.hold(r, claims, found, changed, applied); err != nil {
				s.count(name, statusOf(err))
				return err
			}
		}
		if matches(r.Header.Get("If-None-Match"), found.etag) {
			status = http.StatusNotModified
		}
	}
	if r.Context().Err() != nil {
		return nil // The follower has gone.
	}
	s.contacts.note(claims, r.UserAgent(), found.promotion, false, s.now())
	s.count(name, status)
	return s.sendOffer(w, found, status, applied)
}

// hold waits until the channel offers something else, the time is over, the licence is revoked or the server stops.
func (s *Server) hold(r *http.Request, claims *license.Claims, found *offer, changed <-chan struct{}, wait time.Duration) (*offer, error) {
	if !s.holding.enter() {
		return nil, &fault.Error{
			Reason: reasonBusy, Op: "hold request", Err: errors.New("too many requests are waiting"), Retry: true,
			Hint: "Try again after the time in Retry-After, or poll without the preference to wait.",
		}
	}
	defer s.holding.leave()
	s.contacts.note(claims, r.UserAgent(), found.promotion, true, s.now())
	defer s.contacts.left(claims)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-changed:
		case <-timer.C:
			return found, nil
		case <-s.holding.stop:
			return found, nil
		case <-r.Context().Done():
			return found, nil
		}
		if err := s.revoked.check(claims); err != nil {
			return nil, err
		}
		next, again, err := s.offerFor(r.Context(), claims.ChannelOrDefault(), r.PathValue("id"))
		if err != nil || next.etag != found.etag {
			return next, err
		}
		changed = again
	}
}

// offerFor returns what the channel offers, or the release with the ID pin as if the channel offered it; and a channel
// that is closed when the answer may have changed.
func (s *Server) offerFor(ctx context.Context, name, pin string) (*offer, <-chan struct{}, error) {
	shown, ok := s.board.look(name)
	switch {
	case !ok:
		return nil, nil, notFound("ChannelNotFound", "find channel", "there is no channel "+strconv.Quote(name), "The licence names this channel. Ask the vendor for a licence of an existing one.")
	case pin == "" && shown.offer == nil:
		return nil, nil, notFound("ReleaseNotFound", "find release", "channel "+name+" has no release yet", "Ask the vendor to promote one: deploy-server release promote NAME --channel "+name+".")
	case pin == "" || (shown.offer != nil && shown.offer.promotion.ReleaseID == pin):
		return shown.offer, shown.changed, nil
	}
	record, err := find[releaseRecord](ctx, s.store.read, "id = ?", pin)
	if errors.Is(err, errNoRecord) {
		return nil, nil, notFound("ReleaseNotFound", "find release", "there is no release with this ID", "Check the pinned release ID, or remove the pin.")
	}
	if err != nil {
		return nil, nil, err
	}
	pinned, err := newOffer(shown.channel, record, admin.Promotion{ReleaseID: record.ID, ReleaseName: record.Name})
	return pinned, shown.changed, err
}

func (s *Server) sendOffer(w http.ResponseWriter, found *offer, status int, applied time.Duration) error {
	header := w.Header()
	header.Set("ETag", found.etag)
	if applied > 0 {
		header.Set("Preference-Applied", "wait="+strconv.Itoa(int(applied/time.Second)))
	}
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return nil
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(found.document)))
	w.WriteHeader(status)
	_, _ = w.Write(found.document) // The follower may have gone; nobody is left to tell.
	return nil
}

// matches compares entity tags weakly, as RFC 9110 wants it for If-None-Match.
func matches(header, etag string) bool {
	for each := range strings.SplitSeq(header, ",") {
		each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
		if each == "*" || (each != "" && each == etag) {
			return true
		}
	}
	return false
}

// preferredWait reads "Prefer: wait=N" (RFC 7240), bounded by MaxWait; 0 where it is absent or not a number.
func preferredWait(headers []string) time.Duration {
	for _, header := range headers {
		for preference := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0
			}
			return min(time.Duration(seconds)*time.Second, MaxWait)
		}
	}
	return 0
}

// customer verifies the licence of a request; nil claims mean that it has none.
func (s *Server) customer(r *http.Request) (*license.Claims, error) {
	token, present, err := basicLicense(r)
	if err != nil || !present {
		return nil, err
	}
	claims, err := license.Verify(token, s.keys.set, s.now())
	if err != nil {
		return nil, refusedLicense(err)
	}
	noteLicense(r.Context(), claims.ID)
	return claims, s.revoked.check(claims)
}

// retryAfter spreads the followers that were sent away over 5 to 30 seconds.
func retryAfter() string { return strconv.Itoa(5 + rand.IntN(26)) }
