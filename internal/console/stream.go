package console

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// heartbeat keeps proxies from closing a quiet stream, and is when the console makes sure that its reader is still
	// signed in.
	heartbeat = 15 * time.Second
	// writeDeadline ends the stream of a reader that takes nothing.
	writeDeadline = 10 * time.Second
)

func (s *Server) getOverview(w http.ResponseWriter, r *http.Request) {
	view, err := s.state.overview(r.Context())
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	answer(w, http.StatusOK, view)
}

// watchOverview sends the overview as Server-Sent Events: at once, and whenever it changed.
func (s *Server) watchOverview(w http.ResponseWriter, r *http.Request) {
	documents, leave, err := s.hub.subscribe(r.Context())
	if errors.Is(err, errStreamsFull) {
		refuse(w, problem{
			status: http.StatusServiceUnavailable, retryAfter: 10 * time.Second,
			Message: "Too many pages watch this installation.", Hint: "Close the console in other windows.",
		})
		return
	}
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	defer leave()
	stream := newEventStream(w)
	tick := time.NewTicker(s.cfg.heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case document, open := <-documents:
			if !open || stream.data(document) != nil {
				return
			}
		case <-tick.C:
			if who, err := s.authenticate(r); err != nil || who == nil || stream.comment() != nil {
				return
			}
		}
	}
}

// eventStream writes Server-Sent Events, each within writeDeadline.
type eventStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

func newEventStream(w http.ResponseWriter) eventStream {
	s := eventStream{w: w, controller: http.NewResponseController(w)}
	// The server's deadline for reading a request would end the stream as well. A writer without deadlines, as in a test,
	// streams all the same.
	_ = s.controller.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	return s
}

func (s eventStream) data(document []byte) error {
	return s.write("data: " + string(document) + "\n\n")
}

func (s eventStream) comment() error { return s.write(":\n\n") }

func (s eventStream) write(text string) error {
	_ = s.controller.SetWriteDeadline(time.Now().Add(writeDeadline))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := s.controller.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}
