package run

import (
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// stateNames are how the protocol writes the states.
var stateNames = [...]string{
	store.RunPending: "pending", store.RunRunning: "running", store.RunFinished: "finished", store.RunFailed: "failed",
	store.RunCrashed: "crashed", store.RunKilled: "killed", store.RunPreempting: "preempting", store.RunPreempted: "preempted",
}

// StateName is how the protocol writes a state.
func StateName(state store.RunState) string {
	if int(state) < len(stateNames) && state >= 0 {
		return stateNames[state]
	}
	return "unknown"
}

// ParseState reads a state as the protocol writes it.
func ParseState(name string) (store.RunState, error) {
	for state, known := range stateNames {
		if known == name {
			return store.RunState(state), nil
		}
	}
	return 0, &fault.Error{
		Reason: ReasonInvalid, Op: fmt.Sprintf("invalid state %q", name),
		Hint: "The states of a run are pending, running, finished, failed, crashed, killed, preempting and preempted.",
	}
}

// Ended tells whether the process of a run in this state is over.
func Ended(state store.RunState) bool {
	switch state {
	case store.RunFinished, store.RunFailed, store.RunCrashed, store.RunKilled, store.RunPreempted:
		return true
	}
	return false
}
