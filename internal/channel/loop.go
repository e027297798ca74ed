package channel

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// notFoundPause bounds the pause while a channel is empty: its first release is being waited for.
	notFoundPause = 30 * time.Second
	// promptAnswers is how many changed answers may follow one another at once, before the loop slows to one a second.
	promptAnswers = 5
)

// run asks until ctx ends.
func (w *follow) run(ctx context.Context) {
	pace := pacing{options: w.follower.options}
	for sleep(ctx, w.once(ctx, &pace)) {
	}
}

// once asks, records what came of it, and returns how long to pause. The server is asked to hold its answer only after
// it gave one: a follower that begins or recovers says so at once.
func (w *follow) once(ctx context.Context, pace *pacing) time.Duration {
	began := time.Now()
	_, etag := w.known()
	wait := pace.settled && etag != ""
	got, err := w.ask(ctx, wait)
	if fault.Reason(err, "") == ReasonRollbackDetected {
		// A release that is promoted between the answer and the look into the signed catalog looks like an older one
		// being offered: ask once more before raising the alarm.
		got, err = w.ask(ctx, false)
	}
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		w.fail(err)
		w.follower.options.Logger.Warn("channel request failed", "resource", w.sub.Key.String(), "reason", fault.Reason(err, ""), "error", err.Error())
		return pace.afterFailure(err, got.retryAfter)
	}
	changed := w.accept(got.release, got.etag, time.Now().UTC())
	if changed {
		w.follower.options.Logger.Info("channel release changed", "resource", w.sub.Key.String(), "release", got.release.Name(), "releaseID", got.release.ID())
	}
	return pace.afterAnswer(got, wait, changed, time.Since(began))
}

// ask fetches what the server offers and verifies it. An unchanged release is verified too: signatures end.
func (w *follow) ask(ctx context.Context, wait bool) (answer, error) {
	release, etag := w.known()
	got, err := w.follower.fetch(ctx, w.sub, etag, wait)
	if err != nil {
		return got, err
	}
	unchanged := got.release == nil
	if unchanged {
		got.release, got.etag = release, etag
	}
	err = w.verify(ctx, got.release)
	switch fault.Reason(err, "") {
	case ReasonSignatureInvalid, ReasonUnsigned:
		if unchanged {
			w.dropSeed()
		}
	}
	return got, err
}

func (w *follow) verify(ctx context.Context, release *catalog.Release) error {
	if w.sub.Pin != "" && release.ID() != "" && release.ID() != w.sub.Pin {
		return &fault.Error{
			Reason: catalog.ReasonMalformedRelease, Op: "check pinned release", Err: errors.New("the server answered with another release"),
			Hint: "Report this to the operator of the deploy server; what is installed stays as it is.", Retry: true,
		}
	}
	if w.follower.options.Trust != TrustSigned {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return w.follower.options.Verifier.Verify(ctx, w.sub, release)
}

// sleep waits for d and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// pacing decides the pauses of one loop. It is pure but for its randomness.
type pacing struct {
	options Options
	// settled tells that the latest attempt succeeded.
	settled bool
	// failures and early count answers in a row that were failures, or came unchanged before the wait was over.
	failures, early int
	// prompt counts changed answers that followed one another.
	prompt int
}

// afterFailure doubles a bound and picks below it at random ("full jitter"), so that a fleet does not return in step.
// A Retry-After of the server takes its place.
func (p *pacing) afterFailure(err error, retryAfter time.Duration) time.Duration {
	p.settled, p.early, p.prompt = false, 0, 0
	most := p.options.MaxBackoff
	switch fault.Reason(err, "") {
	case ReasonReleaseNotFound:
		most = min(most, notFoundPause)
	case ReasonRejected:
		most = max(most, p.options.PollInterval)
	}
	pause := p.backoff(p.failures, most)
	p.failures++
	if retryAfter > 0 {
		return retryAfter + time.Duration(p.random()*float64(p.options.MinBackoff))
	}
	return pause
}

// afterAnswer returns no pause when the server holds requests, and the jittered poll interval when it does not.
func (p *pacing) afterAnswer(got answer, waited, changed bool, took time.Duration) time.Duration {
	p.settled, p.failures = true, 0
	switch {
	case got.etag == "", waited && !got.held && !changed:
		// A changed answer proves nothing: there was no reason to hold it.
		p.early, p.prompt = 0, 0
		return max(time.Duration((0.8+0.4*p.random())*float64(p.options.PollInterval)), got.retryAfter)
	case !waited:
		return got.retryAfter
	case changed:
		p.early = 0
		if p.prompt++; p.prompt > promptAnswers {
			return p.options.MinBackoff
		}
		return 0
	case took < p.options.Wait*4/5:
		// A server that is restarting releases its held requests early; one that always does so must not be hammered.
		p.early++
		return p.backoff(p.early-1, p.options.MaxBackoff)
	default:
		p.early, p.prompt = 0, 0
		return 0
	}
}

// backoff picks a pause up to MinBackoff·2ⁿ, at most the given bound and at least a tenth of MinBackoff.
func (p *pacing) backoff(n int, most time.Duration) time.Duration {
	bound := min(p.options.MinBackoff<<min(n, 20), most)
	return max(time.Duration(p.random()*float64(bound)), p.options.MinBackoff/10)
}

func (p *pacing) random() float64 {
	if p.options.random != nil {
		return p.options.random()
	}
	return rand.Float64()
}
