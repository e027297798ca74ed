package window

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

func described(schedule, duration, zone string) appsv1.Window {
	length, err := time.ParseDuration(duration)
	if err != nil {
		length = -1
	}
	return appsv1.Window{Schedule: schedule, Duration: metav1.Duration{Duration: length}, TimeZone: zone}
}

func at(text string) time.Time {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return parsed
}

func TestWindows(t *testing.T) {
	saturday := described("0 2 * * 6", "4h", "")
	berlin := described("30 1 * * *", "2h", "Europe/Berlin")
	tests := map[string]struct {
		windows  []appsv1.Window
		now      string
		wantNext string // empty: open now
	}{
		"should always be open without windows":                {now: "2026-05-01T12:00:00Z"},
		"should open on the minute":                            {windows: []appsv1.Window{saturday}, now: "2026-05-02T02:00:00Z"},
		"should be open a second before it closes":             {windows: []appsv1.Window{saturday}, now: "2026-05-02T05:59:59Z"},
		"should be closed when its time is over":               {windows: []appsv1.Window{saturday}, now: "2026-05-02T06:00:00Z", wantNext: "2026-05-09T02:00:00Z"},
		"should name the nearest of several":                   {windows: []appsv1.Window{saturday, berlin}, now: "2026-05-01T12:00:00Z", wantNext: "2026-05-01T23:30:00Z"},
		"should go by the clock of its zone":                   {windows: []appsv1.Window{berlin}, now: "2026-05-01T23:30:00Z"},
		"should follow that clock into winter":                 {windows: []appsv1.Window{berlin}, now: "2026-11-01T23:30:00Z", wantNext: "2026-11-02T00:30:00Z"},
		"should find the 29th of February":                     {windows: []appsv1.Window{described("0 0 29 2 *", "1h", "")}, now: "2026-05-01T12:00:00Z", wantNext: "2028-02-29T00:00:00Z"},
		"should be open across midnight":                       {windows: []appsv1.Window{described("0 23 * * *", "3h", "")}, now: "2026-05-02T01:00:00Z"},
		"should be open where windows of one schedule overlap": {windows: []appsv1.Window{described("0 * * * *", "2h", "")}, now: "2026-05-02T01:30:00Z"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			windows, err := Parse(test.windows)
			if err != nil {
				t.Fatal(err)
			}
			now := at(test.now)
			if got, want := windows.Next(now), at(test.wantNext); !got.Equal(want) {
				t.Errorf("Next is %s, want %s", got, want)
			}
			if got, want := windows.Open(now), test.wantNext == ""; got != want {
				t.Errorf("Open is %t, want %t", got, want)
			}
		})
	}
}

func TestParseRefusesWhatNeverOpens(t *testing.T) {
	tests := map[string]appsv1.Window{
		"a day that does not exist": described("0 0 31 2 *", "1h", ""),
		"four fields":               described("0 0 * *", "1h", ""),
		"a word of cron":            described("@daily", "1h", ""),
		"a zone in the schedule":    described("TZ=UTC 0 0 * * *", "1h", ""),
		"an unknown zone":           described("0 0 * * *", "1h", "Middle/Earth"),
		"the clock of a node":       described("0 0 * * *", "1h", "Local"),
		"no duration":               described("0 0 * * *", "none", ""),
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]appsv1.Window{test}); fault.Reason(err, "") != appsv1.ReasonLayerInvalid {
				t.Errorf("Parse gave %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0 2 * * 6", int64(4*time.Hour), "Europe/Berlin", int64(1777777777))
	f.Fuzz(func(t *testing.T, schedule string, duration int64, zone string, now int64) {
		windows, err := Parse([]appsv1.Window{{Schedule: schedule, Duration: metav1.Duration{Duration: time.Duration(duration)}, TimeZone: zone}})
		if err != nil {
			return
		}
		moment := time.Unix(now%(1<<33), 0)
		next := windows.Next(moment)
		if windows.Open(moment) != next.IsZero() && !next.IsZero() {
			t.Fatalf("open at %s, and next opens at %s", moment, next)
		}
		if !next.IsZero() && !windows.Open(next) {
			t.Errorf("%q of %s in %q: it opens at %s and is closed then", schedule, time.Duration(duration), zone, next)
		}
	})
}
