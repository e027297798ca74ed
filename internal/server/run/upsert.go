package run

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// defaultProject takes the runs of those who name none.
const defaultProject = "uncategorized"

// Upsert makes a run or changes it. What is nil stays as it is.
type Upsert struct {
	// ID names a run that exists. Without one, Entity ("" is the user's own), Project ("" is "uncategorized") and Name do.
	ID                    store.ID
	Entity, Project, Name string

	DisplayName, Description, Notes, Group, JobType, Commit, Host, Program, Repo *string
	// State is one of the protocol's names.
	State *string
	// Sweep is the short name of the sweep that the run belongs to.
	Sweep *string
	// Tags replace all tags; an empty list removes them.
	Tags []string
	// Config and Summary replace what is stored. They are JSON as the client writes it, NaN and all.
	Config, Summary *string
	// Writer is the process that sends this, where several log into one run; else "".
	Writer string
	// FromProcess: a process that logs sends this, and no person who edits the run.
	FromProcess bool
}

// Upserted is a run after an Upsert.
type Upserted struct {
	store.ChangedRun
	Place access.Place
}

// Upsert makes a run or changes it, for the user in ctx. A project that does not exist is made, an entity is not.
func (s *Service) Upsert(ctx context.Context, u Upsert) (Upserted, error) {
	place, key, err := s.placeOf(ctx, u)
	if err != nil {
		s.Refused(ctx, err)
		return Upserted{}, err
	}
	change, err := s.change(ctx, place, u)
	if err != nil {
		return Upserted{}, err
	}
	changed, err := s.store.ChangeRun(ctx, key, store.Text(u.Writer), change.plan)
	if errors.Is(err, store.ErrRunDeleted) {
		return Upserted{}, deleted(u, err)
	}
	if err != nil {
		s.Refused(ctx, err)
		return Upserted{}, missing(err, "run "+u.Name)
	}
	if err := s.fork(ctx, &changed); err != nil {
		return Upserted{}, err
	}
	return Upserted{ChangedRun: changed, Place: place}, nil
}

// placeOf finds the project that the run is in, or makes it.
func (s *Service) placeOf(ctx context.Context, u Upsert) (access.Place, store.RunKey, error) {
	if u.ID != 0 {
		place, record, err := s.ByID(ctx, u.ID, access.Write)
		return place, store.RunKey{ID: record.ID}, err
	}
	if err := checkName("run", u.Name); err != nil {
		return access.Place{}, store.RunKey{}, err
	}
	if u.Project == "" {
		u.Project = defaultProject
	}
	place, err := s.Guard.Project(ctx, u.Entity, u.Project, access.Write)
	if access.IsNotFound(err) {
		if err := s.mayBegin(ctx, u); err != nil {
			return access.Place{}, store.RunKey{}, err
		}
		place, _, err = s.EnsureProject(ctx, NewProject{Entity: u.Entity, Name: u.Project})
	}
	return place, store.RunKey{ProjectID: place.Project.ID, Name: store.Text(u.Name)}, err
}

// mayBegin refuses to make a project again for a process whose run went with it, and to make one for a run that its entity
// has no room for.
func (s *Service) mayBegin(ctx context.Context, u Upsert) error {
	entity, err := s.Guard.Entity(ctx, u.Entity, access.Write)
	if err != nil {
		return err
	}
	died, err := s.store.RunDied(ctx, entity.ID, store.Text(u.Project), store.Text(u.Name))
	if err != nil {
		return err
	}
	if u.outlived(died) {
		return deleted(u, store.ErrRunDeleted)
	}
	return s.Room(ctx, entity.ID)
}

// Room fails with a quota.ExceededError where an entity has no room for another run.
func (s *Service) Room(ctx context.Context, entity store.ID) error { return s.Quotas.Room(ctx, entity) }

// Refused counts and logs what Room failed with, where somebody was answered with it.
func (s *Service) Refused(ctx context.Context, err error) { s.Quotas.Refused(ctx, err) }

// outlived tells whether this comes from a process that began before its run was deleted, or may have.
func (u Upsert) outlived(died store.Micros) bool {
	return died != 0 && (u.Config == nil || !processOf([]byte(*u.Config)).began.After(died.Time()))
}

func deleted(u Upsert, err error) error {
	return &fault.Error{
		Reason: ReasonDeleted, Op: fmt.Sprintf("run %s was deleted", u.Name), Err: err,
		Hint: "Its name is not free again: start the run under another id.",
	}
}

// fork gives a new run the lines of the one that it continues. It is asked again with every change until it has some, since
// a client whose first request was cut off sends it again.
func (s *Service) fork(ctx context.Context, changed *store.ChangedRun) error {
	if changed.ParentID == 0 || changed.NextLine > 0 || s.Histories == nil {
		return nil
	}
	lines, err := s.Histories.Fork(ctx, changed.ID, changed.ParentID, changed.ParentStep)
	if err != nil {
		return fmt.Errorf("fork the run: %w", err)
	}
	changed.NextLine = lines
	return nil
}

// change is an Upsert with everything looked up that a transaction should not wait for.
type change struct {
	Upsert
	user  store.ID
	sweep store.ID
	state *store.RunState
	tags  store.Blob
	// parent is the run that this one continues, where it is new.
	parent     store.ID
	parentStep int64
	process    process
	// call is a hash of everything that a process asks for; nil where a person does.
	call []byte
	name func(number int64) string
	// room is an error where an entity that stores so much begins no new run; nil where every one does.
	room func(store.EntityStorage) error
	now  time.Time
}

func (s *Service) change(ctx context.Context, place access.Place, u Upsert) (change, error) {
	call, err := callOf(u)
	if err != nil {
		return change{}, err
	}
	c := change{Upsert: u, user: place.User.ID, call: call, name: displayName, room: s.Quotas.Check, now: s.Now()}
	if u.State != nil && *u.State != "" {
		state, err := ParseState(*u.State)
		if err != nil {
			return c, err
		}
		c.state = &state
	}
	if u.Tags != nil {
		tags, err := json.Marshal(distinct(u.Tags))
		if err != nil {
			return c, fmt.Errorf("encode the tags: %w", err)
		}
		c.tags = tags
	}
	if u.Sweep != nil && *u.Sweep != "" {
		if s.Sweeps == nil {
			return c, &fault.Error{Reason: ReasonUnsupported, Op: "this server has no sweeps"}
		}
		id, err := s.Sweeps.Find(ctx, place, *u.Sweep)
		if err != nil {
			return c, err
		}
		c.sweep = id
	}
	if u.Config == nil {
		return c, nil
	}
	c.process = processOf([]byte(*u.Config))
	return c, s.findParent(ctx, place, &c)
}

// findParent looks up the run that the config says this one continues.
func (s *Service) findParent(ctx context.Context, place access.Place, c *change) error {
	branch := c.process.branch
	if branch.RunID == "" || branch.RunID == c.Name || c.ID != 0 {
		return nil
	}
	parent, err := s.store.RunRecordByName(ctx, place.Project.ID, branch.RunID)
	if err != nil {
		return missing(err, "run "+branch.RunID)
	}
	step, err := branch.Step.Int64()
	if err != nil {
		return &fault.Error{Reason: ReasonInvalid, Op: "fork the run: the step is no whole number", Err: err}
	}
	c.parent, c.parentStep = parent.ID, step
	return nil
}

// distinct drops repetitions and keeps the order.
func distinct(tags []string) []string {
	kept := make([]string, 0, len(tags))
	for _, tag := range tags {
		if !slices.Contains(kept, tag) {
			kept = append(kept, tag)
		}
	}
	return kept
}

// plan decides what the change does to what is there. It is pure.
func (c *change) plan(before store.RunBefore) (store.RunAfter, error) {
	after := store.RunAfter{
		Run: before.Run, State: before.Live.State, ExitCode: before.Live.ExitCode, Stopping: before.Live.Stopping,
	}
	if copied, err := c.copied(before); err != nil || copied {
		after.Skip = true
		return after, err
	}
	if !before.Exists {
		if c.outlived(before.DiedAt) {
			return after, store.ErrRunDeleted
		}
		if err := c.fits(before); err != nil {
			return after, err
		}
		c.begin(&after, before.Number)
	} else if err := c.again(&after, before); err != nil || after.Skip {
		return after, err
	}
	c.set(&after)
	return after, nil
}

// fits refuses a new run where its entity has no room for one.
func (c *change) fits(before store.RunBefore) error {
	if c.room == nil || before.Storage == nil {
		return nil
	}
	storage, err := before.Storage()
	if err != nil {
		return err
	}
	return c.room(storage)
}

// echo is how long after a request copies of it are still on their way: clients and what stands between give up after a
// minute and ask again.
const echo = 90 * time.Second

// callOf is a hash of what a process asks for. The client writes the members of its objects in an order that differs from
// request to request, so that equal bytes are all but certainly those of one request.
func callOf(u Upsert) ([]byte, error) {
	if !u.FromProcess {
		return nil, nil
	}
	text, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:16], nil
}

// copied tells whether the same request was done a short while ago: this is a copy of it, and what was asked for since
// must stay.
func (c *change) copied(before store.RunBefore) (bool, error) {
	if c.call == nil || !before.Exists {
		return false, nil
	}
	at, err := before.Called(c.call)
	return err == nil && at != 0 && c.now.Sub(at.Time()) < echo, err
}

func (c *change) begin(after *store.RunAfter, number int64) {
	after.UserID, after.CreatedAt, after.Heartbeat = c.user, store.At(c.now), store.At(c.now)
	after.ParentID, after.ParentStep = c.parent, c.parentStep
	after.State = store.RunRunning
	if c.state != nil {
		after.State = *c.state
	}
	after.DisplayName = store.Text(c.name(number))
}

// again decides what an existing run's state becomes. A process that begins says so by the name of its run, where a person
// who edits one uses its id.
func (c *change) again(after *store.RunAfter, before store.RunBefore) error {
	if c.state != nil {
		if after.State = *c.state; !Ended(after.State) {
			after.Stopping, after.ExitCode = false, 0
		}
		return nil
	}
	if c.ID != 0 {
		return nil
	}
	after.Heartbeat = store.At(c.now)
	if before.Live.State == store.RunRunning {
		return nil
	}
	known, err := c.known(before)
	if err != nil {
		return err
	}
	switch {
	case known && (before.Live.State == store.RunFinished || before.Live.State == store.RunFailed):
		// The process has said that it is over: this is a delayed copy of something that it sent before.
		after.Skip = true
	case known && before.Live.State == store.RunPreempting: // it is still writing
	default:
		after.State, after.Stopping, after.ExitCode = store.RunRunning, false, 0
	}
	return nil
}

// known tells whether the process that sends this has written to the run before. Of several processes that log into one run
// nobody knows which has ended it.
func (c *change) known(before store.RunBefore) (bool, error) {
	if c.Writer != "" {
		return false, nil
	}
	config, err := before.Config()
	return err == nil && c.process.sameAs(processOf(config)), err
}

func (c *change) set(after *store.RunAfter) {
	if c.call != nil {
		after.Call = &store.RunCall{Hash: c.call, At: store.At(c.now)}
	}
	for field, value := range map[*store.Text]*string{
		&after.GroupName: c.Group, &after.JobType: c.JobType, &after.CommitHash: c.Commit, &after.Host: c.Host,
		&after.Program: c.Program, &after.Repo: c.Repo,
	} {
		if value != nil {
			*field = store.Text(*value)
		}
	}
	if c.DisplayName != nil && *c.DisplayName != "" {
		after.DisplayName = store.Text(*c.DisplayName)
	}
	if c.Description != nil {
		after.Description = store.Blob(*c.Description)
	}
	if c.Notes != nil {
		after.Notes = store.Blob(*c.Notes)
	}
	if c.tags != nil {
		after.Tags = c.tags
	}
	if c.sweep != 0 {
		after.SweepID = c.sweep
	}
	if c.Config != nil {
		after.Config = []byte(*c.Config)
	}
	if c.Summary != nil {
		after.Summary = []byte(*c.Summary)
	}
}
