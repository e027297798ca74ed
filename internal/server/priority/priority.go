// Package priority lets requests that somebody waits for go before work that can wait: packing long bodies, compaction.
//
// A read waits for the database a few times, and after each for a processor. Where work takes as long as it likes in between,
// a read is late not because of what it costs but because of who goes first.
package priority

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// stint is how long work goes on at a time before it looks whether somebody reads.
	stint = 8 * time.Millisecond
	// glance is how long it waits then until it looks again, at most glances times: where somebody always reads, work has
	// a third of the time.
	glance  = 2 * time.Millisecond
	glances = 8
)

// Readers counts those who read. Its methods may be called from any goroutine; the zero value counts none.
type Readers struct{ n atomic.Int64 }

// Enter counts a reader until leave is called, once.
func (r *Readers) Enter() (leave func()) {
	r.n.Add(1)
	return func() { r.n.Add(-1) }
}

// Any tells whether somebody reads.
func (r *Readers) Any() bool { return r.n.Load() > 0 }

// Work returns work that begins now and gives way to readers.
func (r *Readers) Work() *Work { return &Work{readers: r, since: time.Now()} }

// Work is something that takes longer than a moment. It belongs to one goroutine.
type Work struct {
	readers *Readers
	since   time.Time
}

// GiveWay is called again and again by work, at places where it holds nothing that a reader needs. It lets those who read go
// on first where the last stint is over, but never for longer than a few moments, nor after ctx has ended.
func (w *Work) GiveWay(ctx context.Context) {
	if !w.readers.Any() || time.Since(w.since) < stint {
		return
	}
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for n := 0; n < glances && w.readers.Any(); n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	w.since = time.Now()
}
