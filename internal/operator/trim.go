package operator

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	// startTime is when a started operator has filled its caches and looked at every resource once.
	startTime = 10 * time.Second
	// trimQuiet is how long no step may end before memory is given back: giving it back costs a full collection, which
	// a hundred steps in a row need not pay each.
	trimQuiet = 2 * time.Second
)

// trimmer gives memory back to the system once work has ended: after the start, and after steps. Helm holds a chart and its
// manifests several times over while it works, and nothing for days afterwards.
type trimmer struct{ asked chan struct{} }

func newTrimmer() *trimmer { return &trimmer{asked: make(chan struct{}, 1)} }

// soon asks for memory to be given back.
func (t *trimmer) soon() {
	select {
	case t.asked <- struct{}{}:
	default:
	}
}

// Start implements manager.Runnable.
func (t *trimmer) Start(ctx context.Context) error {
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.asked:
			timer.Reset(trimQuiet)
		case <-timer.C:
			debug.FreeOSMemory()
		}
	}
}
