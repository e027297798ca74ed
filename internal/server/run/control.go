package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// ReasonTransition: a run's state does not become that one.
const ReasonTransition = "InvalidStateTransition"

// Stop asks the process of a run to end, for the user in ctx. It hears so with its next metrics. Nothing happens where it
// is over.
func (s *Service) Stop(ctx context.Context, id store.ID) error {
	return s.steer(ctx, id, func(before store.RunBefore) (store.RunAfter, error) {
		after := unchanged(before)
		after.Stopping = after.Stopping || !Ended(before.Live.State)
		after.Skip = after.Stopping == before.Live.Stopping
		return after, nil
	})
}

// SetState changes the state of a run for a person, the user in ctx.
func (s *Service) SetState(ctx context.Context, id store.ID, name string) error {
	wanted, err := ParseState(name)
	if err != nil {
		return err
	}
	return s.steer(ctx, id, func(before store.RunBefore) (store.RunAfter, error) {
		after := unchanged(before)
		if err := checkTransition(before.Live.State, wanted); err != nil {
			return after, err
		}
		after.State, after.Stopping, after.ExitCode = wanted, false, 0
		if wanted == store.RunFailed {
			after.ExitCode = 1
		}
		return after, nil
	})
}

func (s *Service) steer(ctx context.Context, id store.ID, plan func(store.RunBefore) (store.RunAfter, error)) error {
	if _, _, err := s.ByID(ctx, id, access.Write); err != nil {
		return err
	}
	_, err := s.store.ChangeRun(ctx, store.RunKey{ID: id}, "", plan)
	return missing(err, "run")
}

func unchanged(before store.RunBefore) store.RunAfter {
	return store.RunAfter{
		Run: before.Run, State: before.Live.State, ExitCode: before.Live.ExitCode, Stopping: before.Live.Stopping,
	}
}

// transitions are what people may do to a state: queue a run again, or give one up. Everything else is said by its process.
var transitions = map[store.RunState][]store.RunState{
	store.RunPending: {store.RunRunning, store.RunFailed, store.RunCrashed, store.RunPreempted},
	store.RunFailed:  {store.RunPending, store.RunRunning},
}

func checkTransition(from, to store.RunState) error {
	if slices.Contains(transitions[to], from) {
		return nil
	}
	return &fault.Error{
		Reason: ReasonTransition, Op: fmt.Sprintf("invalid state transition from %s to %s", StateName(from), StateName(to)),
		Hint: "A run that is running, failed, crashed or preempted may become pending; one that is pending or running may become failed.",
	}
}
