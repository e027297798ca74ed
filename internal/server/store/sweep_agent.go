package store

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// SweepAgent is a row of sweep_agents: a process that asks what to run.
type SweepAgent struct {
	bun.BaseModel `bun:"table:sweep_agents,alias:sa"`

	ID          ID     `bun:"id,pk"`
	SweepID     ID     `bun:"sweep_id"`
	UserID      ID     `bun:"user_id"`
	Host        Text   `bun:"host"`
	CreatedAt   Micros `bun:"created_at"`
	HeartbeatAt Micros `bun:"heartbeat_at"`
}

// SweepSuggestion is a row of sweep_suggestions: what was drawn for one run.
type SweepSuggestion struct {
	bun.BaseModel `bun:"table:sweep_suggestions,alias:ss"`

	SweepID ID `bun:"sweep_id,pk"`
	// Draw is the index of what was drawn: 0 is the sweep's first.
	Draw    int64 `bun:"draw,pk"`
	AgentID ID    `bun:"agent_id"`
	RunName Text  `bun:"run_name"`
	// Args is JSON: {"lr":{"value":0.1}}.
	Args Blob `bun:"args"`
	// Offers counts the answers that told the agent of it; Seen is set once the agent spoke of it.
	Offers int32 `bun:"offers"`
	Seen   bool  `bun:"seen"`
	// Settled is set once it need not be offered again.
	Settled   bool   `bun:"settled"`
	CreatedAt Micros `bun:"created_at"`
}

// OpenSuggestion is a suggestion that is not settled, with what its run does.
type OpenSuggestion struct {
	SweepSuggestion `bun:",extend"`

	// RunID is 0 where the run does not exist yet.
	RunID    ID       `bun:"run_id"`
	State    RunState `bun:"state"`
	Stopping bool     `bun:"stopping"`
	// AgentHeartbeat is when the suggestion's agent was heard of last.
	AgentHeartbeat Micros `bun:"agent_heartbeat"`
}

// Started tells whether the run's process was ever heard of.
func (o OpenSuggestion) Started() bool { return o.RunID != 0 && o.State != RunPending }

// Alive tells whether the run may still log.
func (o OpenSuggestion) Alive() bool {
	return o.State == RunPending || o.State == RunRunning || o.State == RunPreempting
}

// InsertSweepAgent writes an agent and returns it with its id. The first agent brings a pending sweep to life.
func (s *Store) InsertSweepAgent(ctx context.Context, agent SweepAgent) (SweepAgent, error) {
	agent.ID = s.ids.next()
	err := s.update(ctx, "write the sweep agent", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Sweep)(nil)).Set("state = ?", SweepRunning).Set("updated_at = ?", agent.CreatedAt).
			Where("id = ?", agent.SweepID).Where("state = ?", SweepPending).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&agent).Exec(ctx)
		return err
	})
	return agent, err
}

// SweepAgent returns an agent by its id.
func (s *Store) SweepAgent(ctx context.Context, id ID) (SweepAgent, error) {
	var agent SweepAgent
	err := s.view(ctx, "read the sweep agent", func(db bun.IDB) error {
		return db.NewSelect().Model(&agent).Where("id = ?", id).Scan(ctx)
	})
	return agent, err
}

// SweepAgents returns up to limit agents of a sweep, oldest first.
func (s *Store) SweepAgents(ctx context.Context, sweep ID, limit int64) ([]SweepAgent, error) {
	var agents []SweepAgent
	err := s.view(ctx, "list sweep agents", func(db bun.IDB) error {
		return db.NewSelect().Model(&agents).Where("sweep_id = ?", sweep).Order("id").Limit(limit).Scan(ctx)
	})
	return agents, err
}

// SweepHeartbeat is when any agent of a sweep was heard of last; 0 for never.
func (s *Store) SweepHeartbeat(ctx context.Context, sweep ID) (at Micros, err error) {
	err = s.view(ctx, "read the sweep's heartbeat", func(db bun.IDB) error {
		return db.NewSelect().Model((*SweepAgent)(nil)).ColumnExpr("COALESCE(MAX(heartbeat_at), 0)").
			Where("sweep_id = ?", sweep).Scan(ctx, &at)
	})
	return at, err
}

// CountSuggestions counts what an agent was told to run.
func (s *Store) CountSuggestions(ctx context.Context, agent ID) (n int64, err error) {
	err = s.view(ctx, "count the agent's runs", func(db bun.IDB) (err error) {
		n, err = db.NewSelect().Model((*SweepSuggestion)(nil)).Where("agent_id = ?", agent).Count(ctx)
		return err
	})
	return n, err
}

// AgentRuns returns up to limit suggestions that an agent was told of, oldest first, without their args.
func (s *Store) AgentRuns(ctx context.Context, agent ID, limit int64) ([]SweepSuggestion, error) {
	var suggestions []SweepSuggestion
	err := s.view(ctx, "list the agent's runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&suggestions).ExcludeColumn("args").Where("agent_id = ?", agent).Order("draw").Limit(limit).Scan(ctx)
	})
	return suggestions, err
}

// OpenSuggestions returns what of a sweep is not settled, in the order of the draws; with an agent other than 0 only what is
// this agent's.
func (s *Store) OpenSuggestions(ctx context.Context, sweep, agent ID) ([]OpenSuggestion, error) {
	var open []OpenSuggestion
	err := s.view(ctx, "list the sweep's open suggestions", func(db bun.IDB) (err error) {
		open, err = openSuggestions(ctx, db, sweep, agent)
		return err
	})
	return open, err
}

func openSuggestions(ctx context.Context, db bun.IDB, sweep, agent ID) ([]OpenSuggestion, error) {
	var open []OpenSuggestion
	q := db.NewSelect().Model(&open).ColumnExpr("ss.*").
		ColumnExpr("COALESCE(r.id, 0) AS run_id").
		ColumnExpr("COALESCE(l.state, 0) AS state").
		ColumnExpr("COALESCE(l.stopping, ?) AS stopping", false).
		ColumnExpr("COALESCE(sa.heartbeat_at, 0) AS agent_heartbeat").
		Join("JOIN sweeps AS sw ON sw.id = ss.sweep_id").
		Join("LEFT JOIN sweep_agents AS sa ON sa.id = ss.agent_id").
		Join("LEFT JOIN runs AS r ON r.project_id = sw.project_id AND r.name = ss.run_name").
		Join("LEFT JOIN run_live AS l ON l.run_id = r.id").
		Where("ss.sweep_id = ?", sweep).Where("ss.settled = ?", false).OrderExpr("ss.draw")
	if agent != 0 {
		q = q.Where("ss.agent_id = ?", agent)
	}
	err := q.Scan(ctx)
	return open, err
}

// Beat is what one heartbeat of an agent changes.
type Beat struct {
	Sweep, Agent ID
	At           Micros
	// Seen are draws that the agent spoke of for the first time; Settled those that are over; Offered one that it is told of
	// again, -1 for none.
	Seen, Settled []int64
	Offered       int64
}

// RecordBeat writes a heartbeat.
func (s *Store) RecordBeat(ctx context.Context, b Beat) error {
	return s.update(ctx, "write the agent's heartbeat", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*SweepAgent)(nil)).Set("heartbeat_at = ?", b.At).Where("id = ?", b.Agent).Exec(ctx)
		if err != nil {
			return err
		}
		for _, change := range []struct {
			set   string
			value any
			draws []int64
		}{{"seen = ?", true, b.Seen}, {"settled = ?", true, b.Settled}, {"offers = offers + ?", 1, offered(b)}} {
			if len(change.draws) == 0 {
				continue
			}
			_, err := tx.NewUpdate().Model((*SweepSuggestion)(nil)).Set(change.set, change.value).
				Where("sweep_id = ?", b.Sweep).Where("draw IN (?)", bun.List(change.draws)).Where("agent_id = ?", b.Agent).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func offered(b Beat) []int64 {
	if b.Offered < 0 {
		return nil
	}
	return []int64{b.Offered}
}

// Draw asks for the next thing to run.
type Draw struct {
	Sweep, Agent ID
	At           Micros
	// Limit is how many draws there are; a negative one means no limit.
	Limit int64
	// Stale is when an agent must have been heard of last to be taken for dead: what it never started goes to others first.
	Stale Micros
	// RunName is the name of a new run, Args what it is started with. Args runs inside the transaction and must be quick.
	RunName string
	Args    func(draw int64) ([]byte, error)
	// Schedule stands in place of Args where a program of the user says what comes next. It sees the sweep as it is now.
	Schedule func(sweep Sweep) (Scheduled, error)
}

// Scheduled is what a program of the user wants run.
type Scheduled struct {
	// Args are nil where it wants nothing at the moment.
	Args []byte
	// Scheduler is what the sweep's scheduler becomes.
	Scheduler Blob
	// Over: nothing more will come.
	Over bool
}

// ErrNothing tells that the program of the user that decides about a sweep wants nothing at the moment.
var ErrNothing = errors.New("nothing is scheduled")

// ErrExhausted tells that nothing is left to draw.
var ErrExhausted = errors.New("everything was drawn")

// ErrNotRunning tells that the sweep does not run, so that nothing is drawn.
var ErrNotRunning = errors.New("the sweep does not run")

// Draw gives an agent something to run: what it has not settled yet, what a dead agent was told and never started, or else the
// next draw. Draws of one
// sweep follow each other, on all programs that share the database, so that each index is given out once. Where nothing is
// left and nothing is open the sweep is finished.
func (s *Store) Draw(ctx context.Context, d Draw) (SweepSuggestion, error) {
	var drawn SweepSuggestion
	err := s.update(ctx, "draw from the sweep", func(ctx context.Context, tx bun.Tx) (err error) {
		if err := lockSweep(ctx, tx, d.Sweep); err != nil {
			return err
		}
		drawn, err = s.draw(ctx, tx, d)
		return err
	})
	if err == nil && drawn.SweepID == 0 {
		return drawn, ErrExhausted // the transaction was committed: it may have finished the sweep
	}
	return drawn, unwrapRefusal(err)
}

func (s *Store) draw(ctx context.Context, tx bun.Tx, d Draw) (SweepSuggestion, error) {
	var sweep Sweep
	if err := tx.NewSelect().Model(&sweep).Where("id = ?", d.Sweep).Scan(ctx); err != nil {
		return SweepSuggestion{}, err
	}
	if sweep.State != SweepRunning {
		return SweepSuggestion{}, refusal{ErrNotRunning}
	}
	open, err := openSuggestions(ctx, tx, d.Sweep, 0)
	if err != nil {
		return SweepSuggestion{}, err
	}
	for _, o := range open {
		switch {
		case o.Started():
		case o.AgentID == d.Agent: // given to a copy of the same heartbeat that another replica answers, perhaps to nobody
			return offer(ctx, tx, o.SweepSuggestion, d.Agent, o.Offers+1)
		case o.AgentHeartbeat < d.Stale:
			return offer(ctx, tx, o.SweepSuggestion, d.Agent, 1)
		}
	}
	if d.Limit >= 0 && sweep.Drawn >= d.Limit {
		return SweepSuggestion{}, finish(ctx, tx, sweep, open, d.At)
	}
	if d.Schedule == nil {
		args, err := d.Args(sweep.Drawn)
		if err != nil {
			return SweepSuggestion{}, refusal{err}
		}
		return insertSuggestion(ctx, tx, sweep, d, args)
	}
	wanted, err := d.Schedule(sweep)
	switch {
	case err != nil:
		return SweepSuggestion{}, refusal{err}
	case wanted.Over:
		return SweepSuggestion{}, finish(ctx, tx, sweep, open, d.At)
	case wanted.Args == nil:
		return SweepSuggestion{}, refusal{ErrNothing}
	}
	_, err = tx.NewUpdate().Model((*Sweep)(nil)).Set("scheduler = ?", wanted.Scheduler).Where("id = ?", sweep.ID).Exec(ctx)
	if err != nil {
		return SweepSuggestion{}, err
	}
	return insertSuggestion(ctx, tx, sweep, d, wanted.Args)
}

// offer tells an agent of a suggestion for the n-th time.
func offer(ctx context.Context, tx bun.Tx, suggestion SweepSuggestion, agent ID, n int32) (SweepSuggestion, error) {
	suggestion.AgentID, suggestion.Offers, suggestion.Seen = agent, n, false
	_, err := tx.NewUpdate().Model(&suggestion).Column("agent_id", "offers", "seen").WherePK().Exec(ctx)
	return suggestion, err
}

func insertSuggestion(ctx context.Context, tx bun.Tx, sweep Sweep, d Draw, args []byte) (SweepSuggestion, error) {
	suggestion := SweepSuggestion{
		SweepID: sweep.ID, Draw: sweep.Drawn, AgentID: d.Agent, RunName: Text(d.RunName), Args: args, Offers: 1, CreatedAt: d.At,
	}
	if _, err := tx.NewInsert().Model(&suggestion).Exec(ctx); err != nil {
		return SweepSuggestion{}, err
	}
	_, err := tx.NewUpdate().Model((*Sweep)(nil)).Set("drawn = ?", sweep.Drawn+1).Where("id = ?", sweep.ID).Exec(ctx)
	return suggestion, err
}

// finish ends a sweep of which everything was drawn, unless some of it is still to run.
func finish(ctx context.Context, tx bun.Tx, sweep Sweep, open []OpenSuggestion, at Micros) error {
	for _, o := range open {
		if o.Alive() {
			return nil
		}
	}
	_, err := tx.NewUpdate().Model((*Sweep)(nil)).Set("state = ?", SweepFinished).Set("updated_at = ?", at).
		Where("id = ?", sweep.ID).Exec(ctx)
	return err
}
