package store

import "testing"

func TestStateAfterARequest(t *testing.T) {
	type want struct {
		state RunState
		exit  int32
	}
	for name, test := range map[string]struct {
		state RunState
		exit  int32
		facts facts
		want  want
	}{
		"lines start a pending run":                       {RunPending, 0, facts{fresh: true, grew: true}, want{RunRunning, 0}},
		"a heartbeat does not start a pending run":        {RunPending, 0, facts{}, want{RunPending, 0}},
		"a running run stays so":                          {RunRunning, 0, facts{grew: true}, want{RunRunning, 0}},
		"exit code 0 finishes":                            {RunRunning, 0, facts{complete: true}, want{RunFinished, 0}},
		"another exit code fails":                         {RunRunning, 0, facts{complete: true, exitCode: 255}, want{RunFailed, 255}},
		"the last lines may come with the end":            {RunRunning, 0, facts{fresh: true, grew: true, complete: true}, want{RunFinished, 0}},
		"a heartbeat does not reopen":                     {RunFinished, 0, facts{}, want{RunFinished, 0}},
		"system metrics do not reopen":                    {RunFailed, 3, facts{grew: true}, want{RunFailed, 3}},
		"lines of history reopen":                         {RunFailed, 3, facts{fresh: true, grew: true}, want{RunRunning, 0}},
		"a late repeat does not reopen":                   {RunFinished, 0, facts{again: true}, want{RunFinished, 0}},
		"a late repeat of the end ends no resumed run":    {RunRunning, 0, facts{again: true, complete: true}, want{RunRunning, 0}},
		"an end with old and new lines counts":            {RunRunning, 0, facts{again: true, grew: true, complete: true}, want{RunFinished, 0}},
		"a run about to be suspended":                     {RunRunning, 0, facts{preempting: true}, want{RunPreempting, 0}},
		"it stays so with more lines":                     {RunPreempting, 0, facts{fresh: true, grew: true}, want{RunPreempting, 0}},
		"it may end":                                      {RunPreempting, 0, facts{complete: true, exitCode: 1}, want{RunFailed, 1}},
		"a finished run is not suspended by a late word":  {RunFinished, 0, facts{preempting: true}, want{RunFinished, 0}},
		"lines bring a suspended run back":                {RunPreempted, 0, facts{fresh: true, grew: true}, want{RunRunning, 0}},
		"a heartbeat does not bring a suspended run back": {RunPreempted, 0, facts{}, want{RunPreempted, 0}},
		"any sign of life brings a silent run back":       {RunCrashed, 0, facts{}, want{RunRunning, 0}},
		"a late repeat is no sign of life":                {RunCrashed, 0, facts{again: true}, want{RunCrashed, 0}},
		"lines reopen a killed run":                       {RunKilled, 0, facts{fresh: true, grew: true}, want{RunRunning, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			state, exit := nextState(test.state, test.exit, test.facts)
			if got := (want{state, exit}); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
