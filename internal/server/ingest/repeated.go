package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// row is what a line of history says, whatever the order of its members: a hash of them. Of two lines of one row that say when
// they were made the second is a copy of the first. No process makes two at the same time, and of two processes each counts
// its runtime from its own beginning.
type row [sha256.Size]byte

// rowOf is not ok for a line that does not say when it was made.
func rowOf(line []byte) (r row, ok bool) {
	members := gjson.ParseBytes(line)
	if _, ok := chunk.Step(line); !ok || members.Get("_timestamp").Type != gjson.Number || members.Get("_runtime").Type != gjson.Number {
		return r, false
	}
	return sha256.Sum256(appendSorted(nil, members, sortedDepth)), true
}

// sortedDepth bounds how often a value is looked through. What lies deeper is compared as it is written.
const sortedDepth = 16

// appendSorted writes a value with the members of its objects in the order of their names, and numbers as they are written.
func appendSorted(text []byte, value gjson.Result, depth int) []byte {
	if depth == 0 || !value.IsObject() && !value.IsArray() {
		return append(text, value.Raw...)
	}
	var parts []string
	value.ForEach(func(name, member gjson.Result) bool {
		parts = append(parts, name.Raw+":"+string(appendSorted(nil, member, depth-1)))
		return true
	})
	if value.IsObject() {
		slices.Sort(parts)
		return append(append(append(text, '{'), strings.Join(parts, ",")...), '}')
	}
	return append(append(append(text, '['), strings.Join(parts, ",")...), ']')
}

// fresh are the stretches of lines that are not among those stored: from..to.
func fresh(lines [][]byte, stored map[row]bool) (stretches [][2]int) {
	for i, line := range lines {
		if r, ok := rowOf(line); ok && stored[r] {
			continue
		}
		if n := len(stretches); n > 0 && stretches[n-1][1] == i {
			stretches[n-1][1] = i + 1
			continue
		}
		stretches = append(stretches, [2]int{i, i + 1})
	}
	return stretches
}

// history is a process's history in a run.
type history struct {
	run    store.ID
	writer store.Text
}

// commit writes a request. A client that sends a whole run a second time, as `wandb sync` does, gives its lines new numbers:
// they begin anew at a low step, and those that are stored already are left out.
func (s *Service) commit(ctx context.Context, a *store.Append) error {
	key := history{a.Permit.RunID, a.Writer}
	next, known := s.compared.get(key)
	a.Compare = s.cfg.Stored != nil && !(known && next == firstLine(a))
	err := s.committer.commit(ctx, a)
	if err == nil && errors.Is(a.Err, store.ErrBehind) {
		if err := s.leaveOut(ctx, a); err != nil {
			return err
		}
		a.Compare = false
		err = s.committer.commit(ctx, a)
	}
	if known && err == nil && next == firstLine(a) {
		s.compared.put(key, nextLine(a))
	}
	return err
}

func firstLine(a *store.Append) int64 {
	for i := range a.Parts {
		if a.Parts[i].Stream == store.StreamHistory {
			return a.Parts[i].FirstLine
		}
	}
	return -1
}

func nextLine(a *store.Append) (next int64) {
	for i := range a.Parts {
		if p := &a.Parts[i]; p.Stream == store.StreamHistory {
			next = max(next, p.FirstLine+int64(p.N))
		}
	}
	return next
}

// leaveOut takes lines of history out of a request that are stored already. Where there are none the process goes on with
// steps that others had before it, and is not compared again.
func (s *Service) leaveOut(ctx context.Context, a *store.Append) error {
	again := packer{stats: statistics.Get().(*chunk.Stats)}
	defer statistics.Put(again.stats)
	var parts []store.Part
	left := 0
	for _, p := range a.Parts {
		if p.Stream != store.StreamHistory || p.MinStep == store.NoStep {
			parts = append(parts, p)
			continue
		}
		lines, err := chunk.Decode(p.Body)
		if err != nil {
			return err
		}
		stored, err := s.rows(ctx, a.Permit.RunID, p.MinStep, p.MaxStep)
		if err != nil {
			return err
		}
		kept := 0
		for _, stretch := range fresh(lines, stored) {
			kept += stretch[1] - stretch[0]
			parts, err = again.appendParts(parts, p.Stream, p.FirstLine+int64(stretch[0]), lines[stretch[0]:stretch[1]])
			if err != nil {
				return err
			}
		}
		left += len(lines) - kept
	}
	if left == 0 {
		s.compared.put(history{a.Permit.RunID, a.Writer}, nextLine(a))
	}
	a.Parts = parts
	return nil
}

func (s *Service) rows(ctx context.Context, run store.ID, minStep, maxStep int64) (map[row]bool, error) {
	lines, err := s.cfg.Stored(ctx, run, minStep, maxStep+1)
	if err != nil {
		return nil, err
	}
	stored := make(map[row]bool, len(lines))
	for _, line := range lines {
		if r, ok := rowOf([]byte(line)); ok {
			stored[r] = true
		}
	}
	return stored, nil
}
