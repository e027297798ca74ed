package store

import (
	"bytes"
	"errors"
)

// ErrStale tells that what a Permit was made from has changed, or that its run is gone.
var ErrStale = errors.New("what the request was let in for has changed")

// ErrBehind tells that lines of history follow those of their process, and begin at a step that it had before: most likely a
// process that begins anew, perhaps one that sends everything a second time.
var ErrBehind = errors.New("the history begins at an earlier step")

// ErrBusy tells that another transaction holds the run, most likely that of another replica.
var ErrBusy = errors.New("another replica is writing to the run")

// Permit is what the decision to let a request write into a run was made from. It may come from a cache: the commit
// compares it with the database, so that a key that was revoked or a run that was deleted at any replica counts at once.
type Permit struct {
	// KeyID is the key that the request came with; 0 where it came with another proof.
	KeyID  ID
	UserID ID
	Admin  bool

	EntityID ID
	// EntityKey is the folded name of the entity, OwnerID the user whose personal entity it is.
	EntityKey Text
	OwnerID   ID
	// Role is what the user is to an entity of several, as RoleOf tells.
	Role      int64
	ProjectID ID
	Project   Text
	Access    Text
	RunID     ID
	Run       Text
}

// Part is a stretch of lines of one stream: at most one chunk.
type Part struct {
	Stream           Stream
	FirstLine        int64
	N                int32
	MinStep, MaxStep int64
	Hash             []byte
	Stats, Body      []byte
	// Outline is empty for none.
	Outline []byte
}

// Untimed is the stamp of a summary that has no time of its own.
const Untimed Micros = 1

// SummaryLine is a whole summary. Stamp is its own time or Untimed. Body comes from Pack.
type SummaryLine struct {
	Stamp Micros
	Body  []byte
}

// Append is what one request wants written.
type Append struct {
	Permit Permit
	Writer Text
	// At is when the request came.
	At Micros
	// Arrival is when the request came in whole; nil for one that is never late.
	Arrival *Arrival
	Parts   []Part
	// Summary is nil for none.
	Summary *SummaryLine
	// Complete: the process has ended, with ExitCode.
	Complete   bool
	ExitCode   int32
	Preempting bool
	// Compare: a history that begins at an earlier step is not written but told by ErrBehind.
	Compare bool

	// Err is set by Commit where this request was not written: ErrStale, ErrBehind, ErrLate or ErrBusy.
	Err error
	// Stopping is set by Commit: somebody wants the process to stop.
	Stopping bool
}

type headKey struct {
	run    ID
	stream Stream
	writer Text
}

type summaryKey struct {
	run    ID
	writer Text
}

// ledger is what a commit knows of the runs that it writes to, and gathers what is to be written. It does no IO.
type ledger struct {
	runs      map[ID]*liveRow
	heads     map[headKey]*StreamHead
	summaries map[summaryKey]*SummaryLine
	chunks    []Chunk
	outlines  []ChunkOutline
	// dirtyHeads and dirtySummaries are to be written, in the order of their first change.
	dirtyHeads     []headKey
	dirtySummaries []summaryKey
}

// liveRow is the live row of a run and what became of it.
type liveRow struct {
	RunLive
	// dirty: it is to be written. changed: a reader sees a difference.
	dirty, changed bool
}

// stored tells whether a chunk with the same lines at the same place is in the database.
type stored func(key headKey, part *Part) (bool, error)

// facts are what a request means for the state of its run.
type facts struct {
	// fresh: it brought lines of history beyond the last one. grew: it brought such lines of any stream.
	fresh, grew bool
	// again: it brought what was stored before, or a summary that is older than the stored one.
	again                bool
	complete, preempting bool
	exitCode             int32
}

// repeated tells whether the request was most likely answered before, and comes a second time, perhaps late.
func (f facts) repeated() bool { return f.again && !f.grew }

// apply decides what a request changes.
func (l *ledger) apply(a *Append, known stored) error {
	live := l.runs[a.Permit.RunID]
	a.Stopping = live.Stopping
	if a.Compare && l.behind(a) {
		a.Err = ErrBehind
		return nil
	}
	f := facts{complete: a.Complete, preempting: a.Preempting, exitCode: a.ExitCode}
	changed := false
	for i := range a.Parts {
		wrote, err := l.part(a, &a.Parts[i], known, &f)
		if err != nil {
			return err
		}
		changed = changed || wrote
	}
	if a.Summary != nil && !f.repeated() {
		wrote, late := l.summary(a)
		changed = changed || wrote
		f.again = f.again || late
	}
	state, exit := nextState(live.State, live.ExitCode, f)
	if state != live.State || exit != live.ExitCode {
		live.State, live.ExitCode = state, exit
		changed = true
	}
	if (changed || atWork(state)) && a.At > live.HeartbeatAt {
		live.HeartbeatAt = a.At
		live.dirty = true
	}
	if changed {
		live.dirty, live.changed = true, true
	}
	return nil
}

// behind tells whether lines of history follow the stored ones and begin at a step that those have reached.
func (l *ledger) behind(a *Append) bool {
	for i := range a.Parts {
		p := &a.Parts[i]
		if p.Stream != StreamHistory || p.MinStep == NoStep {
			continue
		}
		head := l.heads[headKey{a.Permit.RunID, p.Stream, a.Writer}]
		if head != nil && p.FirstLine >= head.NextLine && p.MinStep <= head.MaxStep {
			return true
		}
	}
	return false
}

// part appends lines, or lays them over those that are stored; lines that are stored already change nothing.
func (l *ledger) part(a *Append, p *Part, known stored, f *facts) (wrote bool, err error) {
	key := headKey{a.Permit.RunID, p.Stream, a.Writer}
	head := l.heads[key]
	if head == nil {
		head = &StreamHead{RunID: key.run, Stream: key.stream, Writer: key.writer, MaxStep: NoStep}
		l.heads[key] = head
	}
	if overlaps := p.FirstLine < head.NextLine; overlaps || head.mayBeCut() {
		again, err := l.again(key, p, known)
		if err != nil {
			return false, err
		}
		if again {
			// Lines of the console may come again for a reason; all others carry the time at which they were made.
			f.again = f.again || p.Stream != StreamConsole
			return false, nil
		}
		if overlaps {
			head.Generation++
		}
	}
	next := p.FirstLine + int64(p.N)
	if next > head.NextLine {
		f.grew = true
		f.fresh = f.fresh || p.Stream == StreamHistory
	}
	l.touchHead(key)
	head.NextLine = max(head.NextLine, next)
	head.MaxStep = max(head.MaxStep, p.MaxStep)
	head.LastSeq++
	l.chunks = append(l.chunks, Chunk{
		RunID: key.run, Stream: key.stream, Writer: key.writer, Seq: head.LastSeq, FirstLine: p.FirstLine, N: p.N,
		MinStep: p.MinStep, MaxStep: p.MaxStep, Hash: p.Hash, Stats: p.Stats, Body: p.Body,
	})
	if len(p.Outline) > 0 {
		l.outlines = append(l.outlines, ChunkOutline{RunID: key.run, Stream: key.stream, Writer: key.writer, Seq: head.LastSeq, Outline: p.Outline})
	}
	return true, nil
}

// mayBeCut tells whether lines beyond the last one may have been there before: a rewind has cut them off, and a late repeat of
// the request that brought them must not bring them back. Only histories are rewound.
func (h *StreamHead) mayBeCut() bool { return h.Stream == StreamHistory && h.Generation > 0 }

// again tells whether the same lines are at the same place in this commit or in the database, perhaps below newer ones: a
// request that comes late must not bring back what was overwritten since.
func (l *ledger) again(key headKey, p *Part, known stored) (bool, error) {
	for i := range l.chunks {
		c := &l.chunks[i]
		if c.RunID == key.run && c.Stream == key.stream && c.Writer == key.writer && c.FirstLine == p.FirstLine && c.N == p.N &&
			bytes.Equal(c.Hash, p.Hash) {
			return true, nil
		}
	}
	return known(key, p)
}

func (l *ledger) touchHead(key headKey) {
	for _, k := range l.dirtyHeads {
		if k == key {
			return
		}
	}
	l.dirtyHeads = append(l.dirtyHeads, key)
}

// summary replaces the summary of a writer. late: it is older than the stored one. One without a time of its own may come
// from before the first line, or from a process that logs nothing: it replaces only its like.
func (l *ledger) summary(a *Append) (wrote, late bool) {
	key := summaryKey{a.Permit.RunID, a.Writer}
	row := l.summaries[key]
	if row == nil {
		row = &SummaryLine{}
		l.summaries[key] = row
	} else if a.Summary.Stamp < row.Stamp {
		return false, a.Summary.Stamp != Untimed
	}
	*row = *a.Summary
	for _, k := range l.dirtySummaries {
		if k == key {
			return true, false
		}
	}
	l.dirtySummaries = append(l.dirtySummaries, key)
	return true, false
}

// atWork tells whether the process of a run in this state may still be at work.
func atWork(s RunState) bool {
	return s == RunPending || s == RunRunning || s == RunPreempting || s == RunPreempted || s == RunCrashed
}

// nextState is the state of a run after a request. A request that was answered before, and comes again late, changes no
// state; nor does one without lines reopen a run that has ended.
func nextState(state RunState, exit int32, f facts) (next RunState, nextExit int32) {
	switch {
	case f.repeated():
		return state, exit
	case f.complete && f.exitCode == 0:
		return RunFinished, 0
	case f.complete:
		return RunFailed, f.exitCode
	case f.preempting && (f.fresh || atWork(state)):
		return RunPreempting, 0
	case f.fresh && state != RunPreempting:
		return RunRunning, 0
	case state == RunCrashed: // it was only silent
		return RunRunning, 0
	}
	return state, exit
}
