package run

import (
	"context"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// keptAlerts is how many alerts of a run are kept.
	keptAlerts = 100
	// maxAlertTitle and maxAlertText are in bytes.
	maxAlertTitle = 4096
	maxAlertText  = 64 << 10
)

// Alert is what a run tells people.
type Alert struct {
	Title, Text, Severity string
	// Wait is how long another of this title is left out.
	Wait time.Duration
}

// Alert notes an alert of a run, unless one of its title came within the time that it says to wait.
func (s *Service) Alert(ctx context.Context, run store.ID, a Alert) error {
	if a.Title == "" || len(a.Title) > maxAlertTitle || len(a.Text) > maxAlertText {
		return &fault.Error{
			Reason: ReasonInvalid, Op: "note the alert: it needs a title",
			Hint: fmt.Sprintf("A title has at most %d bytes, a text %d.", maxAlertTitle, maxAlertText),
		}
	}
	now := s.Now()
	row := store.RunAlert{
		RunID: run, Title: store.Text(a.Title), Body: store.Blob(a.Text), Severity: store.Text(a.Severity),
		WaitMs: a.Wait.Milliseconds(), CreatedAt: store.At(now),
	}
	_, err := s.store.AddRunAlert(ctx, row, store.At(now.Add(-max(a.Wait, 0))), keptAlerts)
	return missing(err, "run")
}

// Alerts returns what a run has told people, the newest first.
func (s *Service) Alerts(ctx context.Context, run store.ID) ([]store.RunAlert, error) {
	return s.store.RunAlerts(ctx, run, keptAlerts)
}
