// Package window tells when changes may begin: a schedule in the form of cron says when a window opens, a duration how long
// it stays open, and a time zone whose clock counts. The package is pure; it carries the time zones with it, because an
// image from scratch has none.
package window

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // see the package's comment

	"github.com/robfig/cron/v3"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// horizon is how far ahead an opening is looked for: a schedule for the 29th of February has one within it.
const horizon = 5 * 366 * 24 * time.Hour

// Windows is a set of windows; the empty set is always open.
type Windows []opening

type opening struct {
	schedule cron.Schedule
	duration time.Duration
	zone     *time.Location
}

// Parse reads the windows of a resource. What cannot be read is a fault LayerInvalid that names the entry.
func Parse(described []appsv1.Window) (Windows, error) {
	windows := make(Windows, 0, len(described))
	for i, each := range described {
		one, err := parse(each)
		if err != nil {
			return nil, &fault.Error{
				Reason: appsv1.ReasonLayerInvalid, Op: fmt.Sprintf("read spec.update.windows[%d]", i), Err: err,
				Hint: `A window is, for example, {schedule: "0 2 * * 6", duration: 4h, timeZone: Europe/Berlin}.`,
			}
		}
		windows = append(windows, one)
	}
	return windows, nil
}

func parse(described appsv1.Window) (opening, error) {
	if described.Duration.Duration <= 0 {
		return opening{}, fmt.Errorf("duration %s is not positive", described.Duration.Duration)
	}
	zone := time.UTC
	if described.TimeZone != "" {
		var err error
		// Local would mean the clock of whichever node the operator runs on.
		if zone, err = time.LoadLocation(described.TimeZone); err != nil || described.TimeZone == "Local" {
			return opening{}, fmt.Errorf("time zone %q is not known", described.TimeZone)
		}
	}
	text := strings.TrimSpace(described.Schedule)
	if strings.ContainsRune(text, '=') || strings.HasPrefix(text, "@") {
		return opening{}, fmt.Errorf("schedule %q has not the five fields of cron", text)
	}
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	if err != nil {
		return opening{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	one := opening{schedule: schedule, duration: described.Duration.Duration, zone: zone}
	if schedule.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, zone)).IsZero() {
		return opening{}, fmt.Errorf("schedule %q names a day that does not exist", text)
	}
	return one, nil
}

// Open tells whether changes may begin at a time.
func (w Windows) Open(at time.Time) bool {
	if len(w) == 0 {
		return true
	}
	for _, each := range w {
		if each.open(at) {
			return true
		}
	}
	return false
}

// Next returns when the next window opens after a time; the zero time where one is open, or none ever opens again.
func (w Windows) Next(at time.Time) time.Time {
	if w.Open(at) {
		return time.Time{}
	}
	var first time.Time
	for _, each := range w {
		next := each.schedule.Next(at.In(each.zone))
		if !next.IsZero() && next.Sub(at) <= horizon && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	return first
}

func (o opening) open(at time.Time) bool { return !o.opened(at).IsZero() }

// opened returns when the window that is open at a time has opened; the zero time where it is closed.
func (o opening) opened(at time.Time) time.Time {
	opened := o.schedule.Next(at.Add(-o.duration).In(o.zone))
	if opened.IsZero() || opened.After(at) {
		return time.Time{}
	}
	return opened
}
