package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxPriorRuns bounds how many runs a sweep can begin with.
const maxPriorRuns = 10_000

// ParsePriorRuns reads the only filter of runs that clients send with a sweep: {"$or":[{"name":"a"}]}.
func ParsePriorRuns(filter string) ([]string, error) {
	if filter == "" || filter == "null" || filter == "{}" {
		return nil, nil
	}
	var runs struct {
		Or []struct{ Name string } `json:"$or"`
	}
	if err := json.Unmarshal([]byte(filter), &runs); err != nil || len(runs.Or) == 0 {
		return nil, refused("read the sweep's prior runs", errors.New(`the filter must name runs: {"$or":[{"name":"a"}]}`))
	}
	if len(runs.Or) > maxPriorRuns {
		return nil, refused("read the sweep's prior runs", fmt.Errorf("there are more than %d", maxPriorRuns))
	}
	names := make([]string, len(runs.Or))
	for i, run := range runs.Or {
		names[i] = run.Name
	}
	return names, nil
}
