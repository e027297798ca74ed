package priority

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkGivesWayToReaders(t *testing.T) {
	const most = glances * glance
	for name, test := range map[string]struct {
		reads  time.Duration // how long somebody reads, from the call on; 0 for nobody
		worked time.Duration
		want   time.Duration // how long the work waits
	}{
		"nobody reads":                   {0, time.Hour, 0},
		"the stint is not over":          {time.Second, stint - 1, 0},
		"the stint is over":              {5 * time.Millisecond, stint, 6 * time.Millisecond},
		"somebody reads for a long time": {time.Minute, time.Hour, most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var readers Readers
				work := readers.Work()
				pass(test.worked)
				if test.reads > 0 {
					leave := readers.Enter()
					time.AfterFunc(test.reads, leave)
				}
				began := time.Now()
				work.GiveWay(t.Context())
				if got := time.Since(began); got != test.want {
					t.Errorf("it waits for %s, want %s", got, test.want)
				}
			})
		})
	}
}

func TestWorkGoesOnBetweenReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var readers Readers
		defer readers.Enter()()
		work, began, worked := readers.Work(), time.Now(), time.Duration(0)
		for worked < time.Second {
			work.GiveWay(t.Context())
			pass(time.Millisecond)
			worked += time.Millisecond
		}
		if took, most := time.Since(began), 3*time.Second+stint; took > most {
			t.Errorf("a second of work takes %s beside a reader, want at most %s", took, most)
		}
	})
}

func TestWorkThatIsGivenUpDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var readers Readers
		defer readers.Enter()()
		work := readers.Work()
		pass(stint)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		work.GiveWay(ctx)
		if got := time.Since(began); got >= glance {
			t.Errorf("it waits for %s", got)
		}
	})
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }
