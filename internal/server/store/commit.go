package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
)

// Commit writes a group of requests in one transaction, with few statements: in the order given, which matters for those to
// one run. Requests that are late or whose Permit is stale are left out and told so in their Err. Whoever changes a run's
// streams must have locked its row of run_live, and locks several in the order of their ids: then replicas never wait for each
// other in a circle.
func (s *Store) Commit(ctx context.Context, group []*Append) error {
	return s.commit(ctx, group, s.locking())
}

// CommitFree does the same, but waits for nobody: requests to runs that another transaction holds are left out, and told so in
// their Err. One replica that stands still in the midst of a transaction would stop all others otherwise.
func (s *Store) CommitFree(ctx context.Context, group []*Append) error {
	return s.commit(ctx, group, s.lockingFree())
}

func (s *Store) commit(ctx context.Context, group []*Append, locking string) error {
	return s.update(ctx, "write metrics", func(ctx context.Context, tx bun.Tx) error {
		c := commit{db: tx, tx: tx.Tx, upsert: s.upsert(), locking: locking, ledger: ledger{
			runs: map[ID]*liveRow{}, heads: map[headKey]*StreamHead{}, summaries: map[summaryKey]*SummaryLine{},
		}}
		return c.run(ctx, group)
	})
}

// commit is one transaction.
type commit struct {
	db      bun.IDB
	tx      *sql.Tx // the same, for what is said many times a second
	upsert  upsertSyntax
	locking string
	ledger
}

func (c *commit) run(ctx context.Context, group []*Append) error {
	if err := c.lock(ctx, group); err != nil {
		return err
	}
	admitted, err := c.admit(ctx, group)
	if err != nil || len(admitted) == 0 {
		return err
	}
	if err := c.read(ctx, admitted); err != nil {
		return err
	}
	for _, a := range admitted {
		known := func(key headKey, p *Part) (bool, error) { return c.stored(ctx, key, p) }
		if err := c.apply(a, known); err != nil {
			return err
		}
	}
	return c.write(ctx)
}

// lock reads the live rows of the group's runs.
func (c *commit) lock(ctx context.Context, group []*Append) error {
	query := "SELECT run_id, project_id, state, exit_code, stopping, heartbeat_at, rev FROM run_live WHERE run_id IN (" +
		ids(group, func(a *Append) ID { return a.Permit.RunID }) + ") ORDER BY run_id" + c.locking
	return each(ctx, c.tx, "lock runs", query, nil, func(rows *sql.Rows) error {
		var l liveRow
		err := rows.Scan(&l.RunID, &l.ProjectID, &l.State, &l.ExitCode, &l.Stopping, &l.HeartbeatAt, &l.Rev)
		c.runs[l.RunID] = &l
		return err
	})
}

// admit returns the requests whose permits still hold.
func (c *commit) admit(ctx context.Context, group []*Append) ([]*Append, error) {
	places := map[ID]Permit{}
	query := "SELECT r.id, r.name, p.id, p.name, p.access, e.id, e.name_key, e.user_id FROM runs r JOIN projects p ON p.id = r.project_id " +
		"JOIN entities e ON e.id = p.entity_id WHERE r.id IN (" + ids(group, func(a *Append) ID { return a.Permit.RunID }) + ")"
	err := each(ctx, c.tx, "read runs", query, nil, func(rows *sql.Rows) error {
		var p Permit
		err := rows.Scan(&p.RunID, &p.Run, &p.ProjectID, &p.Project, &p.Access, &p.EntityID, &p.EntityKey, &p.OwnerID)
		places[p.RunID] = p
		return err
	})
	if err != nil {
		return nil, err
	}
	users, err := c.users(ctx, group)
	if err != nil {
		return nil, err
	}
	roles, err := c.roles(ctx, group)
	if err != nil {
		return nil, err
	}
	admitted := make([]*Append, 0, len(group))
	for _, a := range group {
		now := places[a.Permit.RunID]
		now.KeyID, now.UserID = a.Permit.KeyID, a.Permit.UserID
		now.Role = roles[memberKey{now.EntityID, now.UserID}]
		admin, known := users[userKey{now.KeyID, now.UserID}]
		now.Admin = admin
		if a.Err = nil; !known || now != a.Permit {
			a.Err = ErrStale
			continue
		}
		if c.runs[now.RunID] == nil {
			a.Err = ErrBusy
			continue
		}
		if a.Arrival.Late() { // the run is locked: what comes later at another replica is written later
			a.Err = ErrLate
			continue
		}
		admitted = append(admitted, a)
	}
	return admitted, nil
}

type memberKey struct{ entity, user ID }

// roles returns what the users of the group are to the entities that several share. One query finds most of it; what a user
// is through an organisation is asked for one by one.
func (c *commit) roles(ctx context.Context, group []*Append) (map[memberKey]int64, error) {
	group = filter(group, func(a *Append) bool { return a.Permit.OwnerID == 0 && !a.Permit.Admin })
	if len(group) == 0 {
		return nil, nil
	}
	roles := map[memberKey]int64{}
	query := "SELECT entity_id, user_id, role FROM members WHERE entity_id IN (" + ids(group, func(a *Append) ID { return a.Permit.EntityID }) +
		") AND user_id IN (" + ids(group, func(a *Append) ID { return a.Permit.UserID }) + ")"
	err := each(ctx, c.tx, "read members", query, nil, func(rows *sql.Rows) error {
		var key memberKey
		var role int64
		err := rows.Scan(&key.entity, &key.user, &role)
		roles[key] = role
		return err
	})
	for i := 0; i < len(group) && err == nil; i++ {
		key := memberKey{group[i].Permit.EntityID, group[i].Permit.UserID}
		if roles[key] != group[i].Permit.Role {
			roles[key], err = roleOf(ctx, c.db, key.entity, key.user)
		}
	}
	return roles, err
}

type userKey struct{ key, user ID }

// enabled ends a query of users u.
const enabled = "LEFT JOIN profiles pr ON pr.user_id = u.id WHERE u.deleted_at = 0 AND " + notDisabled

// users returns the users of the group who exist, with their keys, and whether they are administrators.
func (c *commit) users(ctx context.Context, group []*Append) (map[userKey]bool, error) {
	users := map[userKey]bool{}
	read := func(query string) error {
		return each(ctx, c.tx, "read API keys", query, nil, func(rows *sql.Rows) error {
			var key userKey
			var admin bool
			err := rows.Scan(&key.key, &key.user, &admin)
			users[key] = admin
			return err
		})
	}
	err := read("SELECT k.id, u.id, u.admin FROM api_keys k JOIN users u ON u.id = k.user_id " + enabled + " AND k.id IN (" +
		ids(group, func(a *Append) ID { return a.Permit.KeyID }) + ")")
	if err != nil || !slices.ContainsFunc(group, func(a *Append) bool { return a.Permit.KeyID == 0 }) {
		return users, err
	}
	return users, read("SELECT 0, u.id, u.admin FROM users u " + enabled + " AND u.id IN (" +
		ids(group, func(a *Append) ID { return a.Permit.UserID }) + ")")
}

// read reads where the streams stand that the requests write to.
func (c *commit) read(ctx context.Context, group []*Append) error {
	if parts := filter(group, func(a *Append) bool { return len(a.Parts) > 0 }); len(parts) > 0 {
		query := "SELECT run_id, stream, writer, next_line, base_line, last_seq, max_step, generation FROM stream_heads WHERE run_id IN (" +
			ids(parts, func(a *Append) ID { return a.Permit.RunID }) + ") AND writer IN (" + marks(parts) + ")"
		err := each(ctx, c.tx, "read streams", query, writers(parts), func(rows *sql.Rows) error {
			var h StreamHead
			err := rows.Scan(&h.RunID, &h.Stream, &h.Writer, &h.NextLine, &h.BaseLine, &h.LastSeq, &h.MaxStep, &h.Generation)
			c.heads[headKey{h.RunID, h.Stream, h.Writer}] = &h
			return err
		})
		if err != nil {
			return err
		}
	}
	summaries := filter(group, func(a *Append) bool { return a.Summary != nil })
	if len(summaries) == 0 {
		return nil
	}
	query := "SELECT run_id, writer, stamp FROM run_summary WHERE run_id IN (" +
		ids(summaries, func(a *Append) ID { return a.Permit.RunID }) + ") AND writer IN (" + marks(summaries) + ")"
	return each(ctx, c.tx, "read summaries", query, writers(summaries), func(rows *sql.Rows) error {
		var key summaryKey
		var row SummaryLine
		err := rows.Scan(&key.run, &key.writer, &row.Stamp)
		c.summaries[key] = &row
		return err
	})
}

// stored looks for a chunk of the same lines. Only lines that overlap with stored ones come here.
func (c *commit) stored(ctx context.Context, key headKey, p *Part) (bool, error) {
	const query = "SELECT seq FROM chunks WHERE run_id = ? AND stream = ? AND writer = ? AND first_line = ? AND n = ? AND hash = ? LIMIT 1"
	var seq int64
	err := c.tx.QueryRowContext(ctx, query, int64(key.run), int64(key.stream), key.writer, p.FirstLine, p.N, p.Hash).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for lines: %w", err)
	}
	return true, nil
}

// write writes what the requests changed.
func (c *commit) write(ctx context.Context) error {
	if err := c.writeChunks(ctx); err != nil {
		return err
	}
	if err := c.writeOutlines(ctx); err != nil {
		return err
	}
	if err := c.writeHeads(ctx); err != nil {
		return err
	}
	if err := c.writeSummaries(ctx); err != nil {
		return err
	}
	return c.writeLive(ctx)
}

// maxStatement bounds the bytes of one statement: a database refuses packets beyond its own bound, often 64 MiB.
const maxStatement = 8 << 20

const chunkColumns = "INSERT INTO chunks (run_id, stream, writer, seq, first_line, n, min_step, max_step, hash, stats, body) VALUES "

func (c *commit) writeChunks(ctx context.Context) error {
	for rest := c.chunks; len(rest) > 0; {
		var arguments []any
		n, size := 0, 0
		for n < len(rest) && (n == 0 || size+len(rest[n].Body) <= maxStatement) {
			r := &rest[n]
			arguments = append(arguments, int64(r.RunID), int64(r.Stream), r.Writer, r.Seq, r.FirstLine, r.N, r.MinStep, r.MaxStep, r.Hash, r.Stats, r.Body)
			size += len(r.Body) + len(r.Stats)
			n++
		}
		if err := c.exec(ctx, "write lines", chunkColumns+tuples(n, 11), arguments); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (c *commit) writeOutlines(ctx context.Context) error {
	for some := range slices.Chunk(c.outlines, outlinesAtOnce) {
		arguments := make([]any, 0, 5*len(some))
		for i := range some {
			o := &some[i]
			arguments = append(arguments, int64(o.RunID), int64(o.Stream), o.Writer, o.Seq, o.Outline)
		}
		const columns = "INSERT INTO chunk_outlines (run_id, stream, writer, seq, outline) VALUES "
		if err := c.exec(ctx, "write outlines", columns+tuples(len(some), 5), arguments); err != nil {
			return err
		}
	}
	return nil
}

// outlinesAtOnce bounds a statement: an outline is mostly a fiftieth of its chunk, and at most half as long.
const outlinesAtOnce = 16

func (c *commit) writeHeads(ctx context.Context) error {
	if len(c.dirtyHeads) == 0 {
		return nil
	}
	arguments := make([]any, 0, 8*len(c.dirtyHeads))
	for _, key := range c.dirtyHeads {
		h := c.heads[key]
		arguments = append(arguments, int64(h.RunID), int64(h.Stream), h.Writer, h.NextLine, h.BaseLine, h.LastSeq, h.MaxStep, h.Generation)
	}
	query := "INSERT INTO stream_heads (run_id, stream, writer, next_line, base_line, last_seq, max_step, generation) VALUES " +
		tuples(len(c.dirtyHeads), 8) + c.upsert.tail("run_id, stream, writer", "next_line", "base_line", "last_seq", "max_step", "generation")
	return c.exec(ctx, "write streams", query, arguments)
}

func (c *commit) writeSummaries(ctx context.Context) error {
	for _, key := range c.dirtySummaries { // each may be megabytes
		r := c.summaries[key]
		query := "INSERT INTO run_summary (run_id, writer, stamp, body) VALUES (?, ?, ?, ?)" + c.upsert.tail("run_id, writer", "stamp", "body")
		if err := c.exec(ctx, "write the summary", query, []any{int64(key.run), key.writer, int64(r.Stamp), r.Body}); err != nil {
			return err
		}
	}
	return nil
}

// writeLive writes heartbeats and states, in one statement that meets no index but the key unless a state changed.
func (c *commit) writeLive(ctx context.Context) error {
	var dirty []*liveRow
	for _, l := range c.runs {
		if l.dirty {
			dirty = append(dirty, l)
		}
	}
	if len(dirty) == 0 {
		return nil
	}
	slices.SortFunc(dirty, func(a, b *liveRow) int { return int(min(max(a.RunID-b.RunID, -1), 1)) })
	b := append(make([]byte, 0, 256+160*len(dirty)), "UPDATE run_live SET "...)
	for i, column := range []struct {
		name  string
		value func(l *liveRow) int64
	}{
		{"state", func(l *liveRow) int64 { return int64(l.State) }},
		{"exit_code", func(l *liveRow) int64 { return int64(l.ExitCode) }},
		{"heartbeat_at", func(l *liveRow) int64 { return int64(l.HeartbeatAt) }},
		{"rev", (*liveRow).nextRev},
	} {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, column.name...), " = CASE run_id"...)
		for _, l := range dirty {
			b = strconv.AppendInt(append(b, " WHEN "...), int64(l.RunID), 10)
			b = strconv.AppendInt(append(b, " THEN "...), column.value(l), 10)
		}
		b = append(append(append(b, " ELSE "...), column.name...), " END"...)
	}
	b = append(b, " WHERE run_id IN ("...)
	for i, l := range dirty {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(l.RunID), 10)
	}
	return c.exec(ctx, "write states", string(append(b, ')')), nil)
}

func (l *liveRow) nextRev() int64 {
	if l.changed {
		return l.Rev + 1
	}
	return l.Rev
}

func (c *commit) exec(ctx context.Context, what, query string, arguments []any) error {
	if _, err := c.tx.ExecContext(ctx, query, arguments...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// each reads the rows of a query.
func each(ctx context.Context, tx *sql.Tx, what, query string, arguments []any, visit func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for err == nil && rows.Next() {
		err = visit(rows)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func filter(group []*Append, keep func(*Append) bool) []*Append {
	kept := make([]*Append, 0, len(group))
	for _, a := range group {
		if keep(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// ids lists numbers for a query, each once, in order.
func ids(group []*Append, id func(*Append) ID) string {
	list := make([]ID, len(group))
	for i, a := range group {
		list[i] = id(a)
	}
	slices.Sort(list)
	b := make([]byte, 0, 20*len(list))
	for i, id := range slices.Compact(list) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(b)
}

// writers are the writers of a group, each once.
func writers(group []*Append) []any {
	var list []any
	for _, a := range group {
		if !slices.Contains(list, any(a.Writer)) {
			list = append(list, a.Writer)
		}
	}
	return list
}

// marks is one placeholder for each of writers.
func marks(group []*Append) string { return placeholders(len(writers(group))) }

func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// tuples is n rows of placeholders.
func tuples(n, columns int) string {
	return strings.TrimSuffix(strings.Repeat("("+placeholders(columns)+"),", n), ",")
}
