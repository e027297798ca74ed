package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// streamsOpen bounds the readers of the overview; each holds one connection and one document.
	streamsOpen = 64
	// coalesce is how long the hub collects changes before it builds a document: a rollout changes many objects at once.
	coalesce = 250 * time.Millisecond
)

var errStreamsFull = errors.New("too many open event streams")

// hub builds the overview once for all readers of the event stream, when something changed.
type hub struct {
	build func(context.Context) (overview, error)
	dirty chan struct{}

	mu sync.Mutex
	// readers holds for each stream the document that it was given last.
	readers map[chan []byte][]byte
	closed  bool
}

func newHub(build func(context.Context) (overview, error)) *hub {
	return &hub{build: build, dirty: make(chan struct{}, 1), readers: map[chan []byte][]byte{}}
}

// wake says that something changed. It never blocks.
func (h *hub) wake() {
	select {
	case h.dirty <- struct{}{}:
	default: // the hub is going to look anyway
	}
}

// run publishes until ctx ends, then ends every stream.
func (h *hub) run(ctx context.Context) error {
	defer h.close()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.dirty:
		}
		pause.Reset(coalesce)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		h.publish(ctx)
	}
}

// publish sends the overview to every reader who was last given another one. A console whose cluster cannot be read sends
// nothing: readers keep what they have, and the next change wakes the hub again.
func (h *hub) publish(ctx context.Context) {
	if h.count() == 0 {
		return
	}
	document, err := h.document(ctx)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for reader, last := range h.readers {
		if !bytes.Equal(document, last) {
			h.readers[reader] = document
			offer(reader, document)
		}
	}
}

// offer replaces what a slow reader has not taken yet: only the newest document counts.
func offer(reader chan []byte, document []byte) {
	select {
	case <-reader:
	default:
	}
	reader <- document // only the hub sends, under its lock, so that the place just made is free
}

// subscribe returns a channel of documents that begins with the present one. It is closed when the console stops.
func (h *hub) subscribe(ctx context.Context) (<-chan []byte, func(), error) {
	document, err := h.document(ctx)
	if err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.readers) >= streamsOpen {
		return nil, nil, errStreamsFull
	}
	reader := make(chan []byte, 1)
	reader <- document
	h.readers[reader] = document
	h.wake() // for a change between building the document and this line
	return reader, func() { h.leave(reader) }, nil
}

func (h *hub) leave(reader chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, reader)
}

func (h *hub) document(ctx context.Context) ([]byte, error) {
	view, err := h.build(ctx)
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(view)
	if err != nil {
		return nil, fmt.Errorf("encode overview: %w", err)
	}
	return document, nil
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.readers)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for reader := range h.readers {
		delete(h.readers, reader)
		close(reader)
	}
}
