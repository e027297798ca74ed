package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// controller is what a program of the user says that decides about a sweep. Only the program writes it.
type controller struct {
	// Schedule are runs to start, each under an id that the program made up.
	Schedule []struct {
		ID   string `json:"id"`
		Data struct {
			// Args are like those of a suggestion; null tells that nothing more will come.
			Args json.RawMessage `json:"args"`
		} `json:"data"`
	} `json:"schedule"`
	// EarlyStop are names of runs to stop.
	EarlyStop []string `json:"earlystop"`
}

// scheduler is what the program is told. Only the server writes it.
type scheduler struct {
	Scheduled []scheduled `json:"scheduled"`
}

// scheduled says which run was made of an entry of the program's schedule.
type scheduled struct {
	ID  string `json:"id"`
	Run string `json:"runid"`
}

// takeScheduled returns the first entry of a sweep's schedule that nobody runs yet, under this name.
func takeScheduled(sweep store.Sweep, runName string) (store.Scheduled, error) {
	var wanted controller
	var told scheduler
	if err := decodeState(sweep.Controller, &wanted); err != nil {
		return store.Scheduled{}, refused("read the sweep's controller", err)
	}
	if err := decodeState(sweep.Scheduler, &told); err != nil {
		return store.Scheduled{}, refused("read the sweep's scheduler", err)
	}
	known := map[string]bool{}
	for _, s := range told.Scheduled {
		known[s.ID] = true
	}
	for _, entry := range wanted.Schedule {
		if known[entry.ID] {
			continue
		}
		args := bytes.TrimSpace(entry.Data.Args)
		if len(args) == 0 || args[0] != '{' {
			return store.Scheduled{Over: true}, nil
		}
		told.Scheduled = append(told.Scheduled, scheduled{ID: entry.ID, Run: runName})
		text, err := json.Marshal(told)
		if err != nil {
			return store.Scheduled{}, fmt.Errorf("encode the sweep's scheduler: %w", err)
		}
		return store.Scheduled{Args: args, Scheduler: text}, nil
	}
	return store.Scheduled{}, nil
}

// decodeState reads one of the two states; an empty one says nothing.
func decodeState(text []byte, into any) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("it is not what clients write: %w", err)
	}
	return nil
}

// stopNamed asks the runs to stop that the program of a sweep has named.
func (s *Service) stopNamed(ctx context.Context, sweep store.Sweep) error {
	var wanted controller
	if err := decodeState(sweep.Controller, &wanted); err != nil || len(wanted.EarlyStop) == 0 {
		return nil // a controller of another kind: nothing is named
	}
	named := map[string]bool{}
	for _, name := range wanted.EarlyStop {
		named[name] = true
	}
	open, err := s.store.OpenSuggestions(ctx, sweep.ID, 0)
	if err != nil {
		return err
	}
	for _, o := range open {
		if !named[string(o.RunName)] || o.RunID == 0 || o.Stopping {
			continue
		}
		if err := s.stop(ctx, o.RunID); err != nil {
			return err
		}
	}
	return nil
}
