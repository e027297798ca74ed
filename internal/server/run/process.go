package run

import (
	"encoding/json"
	"time"

	"github.com/tidwall/gjson"
)

// process is what a run's config tells of the processes that wrote it.
type process struct {
	// marks differ between any two processes: the ids under which each describes its environment, and the time it began.
	marks map[string]bool
	// began is when the one that began last did, by its own clock; zero where none says so.
	began time.Time
	// branch is where the run continues another one; empty for none.
	branch branchPoint
}

type branchPoint struct {
	RunID string
	Step  json.Number
}

// processOf reads a config leniently: it may hold NaN, and what it lacks is absent.
func processOf(config []byte) process {
	p := process{marks: map[string]bool{}}
	value := gjson.GetBytes(config, "_wandb.value")
	if environments := value.Get("e"); environments.IsObject() {
		environments.ForEach(func(id, environment gjson.Result) bool {
			if environment.IsObject() {
				p.marks[id.Str+" "+environment.Get("startedAt").Raw] = true
				p.start(environment.Get("startedAt").Time())
			}
			return true
		})
	}
	if start := value.Get("start_time"); start.Exists() {
		p.marks["start "+start.Raw] = true
		p.start(time.UnixMicro(int64(start.Float() * 1e6)))
	}
	branch := value.Get("branch_point")
	p.branch = branchPoint{RunID: branch.Get("run_id").String(), Step: json.Number(branch.Get("step").Raw)}
	return p
}

func (p *process) start(at time.Time) {
	if at.After(p.began) {
		p.began = at
	}
}

// sameAs tells whether a config shows no process that the stored one does not know.
func (p process) sameAs(stored process) bool {
	for mark := range p.marks {
		if !stored.marks[mark] {
			return false
		}
	}
	return len(p.marks) > 0
}
