package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// told is what a process has said once each, in order: the truth that a run must show, however often requests come again.
type told struct {
	lines   map[string]string // by stream and number
	next    map[Stream]int64
	summary string
	state   RunState
	exit    int32
}

// teller is a process that logs, and remembers what it has sent.
type teller struct {
	random *rand.Rand
	truth  told
	sent   []*Append
	serial int
	clock  Micros
}

func newTeller(seed uint64) *teller {
	return &teller{random: rand.New(rand.NewPCG(seed, 7)), truth: told{ // repeatable
		lines: map[string]string{}, next: map[Stream]int64{}, state: RunRunning,
	}}
}

// say makes the next request.
func (t *teller) say() *Append {
	t.clock += Micros(1 + t.random.IntN(5))
	a := &Append{Permit: Permit{RunID: 1}, At: t.clock}
	for _, stream := range []Stream{StreamHistory, StreamEvents, StreamConsole} {
		if t.random.IntN(2) == 0 {
			a.Parts = append(a.Parts, t.part(stream))
		}
	}
	if t.random.IntN(3) == 0 {
		t.serial++
		t.truth.summary = fmt.Sprint("summary ", t.serial)
		a.Summary = &SummaryLine{Stamp: Untimed + t.clock, Body: []byte(t.truth.summary)}
	}
	fresh := len(a.Parts) > 0 && a.Parts[0].Stream == StreamHistory
	if fresh {
		t.truth.state, t.truth.exit = RunRunning, 0
	}
	if fresh && t.random.IntN(4) == 0 {
		a.Complete, a.ExitCode = true, int32(t.random.IntN(2)) // 0 or 1
		t.truth.state, t.truth.exit = RunFinished, a.ExitCode
		if a.ExitCode != 0 {
			t.truth.state = RunFailed
		}
	}
	t.sent = append(t.sent, a)
	return a
}

// part is the next lines of a stream; those of the console may stand in place of earlier ones.
func (t *teller) part(stream Stream) Part {
	n := int64(1 + t.random.IntN(4))
	first := t.truth.next[stream]
	if stream == StreamConsole {
		first -= int64(t.random.IntN(int(min(first, 3)) + 1))
	} else if t.random.IntN(8) == 0 {
		first += 2 // a gap
	}
	t.serial++
	for i := range n {
		t.truth.lines[fmt.Sprint(stream, " ", first+i)] = fmt.Sprint(t.serial)
	}
	t.truth.next[stream] = max(t.truth.next[stream], first+n)
	return Part{Stream: stream, FirstLine: first, N: int32(n), Hash: fmt.Append(nil, t.serial), Body: fmt.Append(nil, t.serial)} // at most 4
}

// shown is what the rows of a run tell a reader.
func shown(l *ledger, all []Chunk) told {
	s := told{lines: map[string]string{}, next: map[Stream]int64{}, state: l.runs[1].State, exit: l.runs[1].ExitCode}
	for _, c := range all {
		for i := range int64(c.N) {
			s.lines[fmt.Sprint(c.Stream, " ", c.FirstLine+i)] = string(c.Body)
		}
	}
	for key, head := range l.heads {
		s.next[key.stream] = head.NextLine
	}
	if row := l.summaries[summaryKey{run: 1}]; row != nil {
		s.summary = string(row.Body)
	}
	return s
}

// TestNoHistoryIsChangedByWhatComesAgain tells 100,000 random histories, in which every request may come again at any time
// after it was answered, in this transaction or in a later one.
func TestNoHistoryIsChangedByWhatComesAgain(t *testing.T) {
	for seed := range uint64(100_000) {
		if err := replay(seed); err != nil {
			t.Fatalf("history %d: %v", seed, err)
		}
	}
}

func replay(seed uint64) error {
	tell := newTeller(seed)
	l := &ledger{
		runs: map[ID]*liveRow{1: {RunLive: RunLive{RunID: 1, State: RunRunning}}}, heads: map[headKey]*StreamHead{}, summaries: map[summaryKey]*SummaryLine{},
	}
	var written []Chunk
	known := func(key headKey, p *Part) (bool, error) {
		for _, c := range written {
			if c.Stream == key.stream && c.FirstLine == p.FirstLine && c.N == p.N && string(c.Hash) == string(p.Hash) {
				return true, nil
			}
		}
		return false, nil
	}
	for step := range 4 + tell.random.IntN(8) {
		a := (*Append)(nil)
		again := step > 0 && tell.random.IntN(2) == 0
		if again {
			a = late(tell)
		} else {
			a = tell.say()
		}
		if a == nil {
			continue
		}
		if err := l.apply(a, known); err != nil {
			return err
		}
		if tell.random.IntN(2) == 0 { // the transaction ends here
			written, l.chunks, l.dirtyHeads, l.dirtySummaries = append(written, l.chunks...), nil, nil, nil
		}
		all := append(append([]Chunk{}, written...), l.chunks...)
		if got, want := shown(l, all), tell.truth; !maps.Equal(got.lines, want.lines) || !maps.Equal(got.next, want.next) ||
			got.summary != want.summary || got.state != want.state || got.exit != want.exit {
			return fmt.Errorf("step %d (again: %t): shows %+v, want %+v", step, again, got, want)
		}
	}
	return nil
}

// late is a request that was sent before. One that holds nothing that is dated cannot be told from a new one; the client
// sends none such that changes anything.
func late(t *teller) *Append {
	a := t.sent[t.random.IntN(len(t.sent))]
	copied := *a
	return &copied
}
