package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// audit counts the requests of the operator in the API server's audit log, which knows everybody by name.
type audit struct {
	b           *testing.B
	policy, log string
	offset      int64
	seen        requests
}

// requests counts by "verb resource".
type requests map[string]int

func newAudit(b *testing.B, folder string) *audit {
	b.Helper()
	a := &audit{b: b, policy: filepath.Join(folder, "policy.yaml"), log: filepath.Join(folder, "audit.log"), seen: requests{}}
	must(b, os.WriteFile(a.policy, []byte(`apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, users: [`+operatorUser+`]}
  - {level: None}
`), 0o600))
	return a
}

// counted reads what was logged since the last call, and returns the sum of all.
func (a *audit) counted() requests {
	a.b.Helper()
	file, err := os.Open(a.log)
	if os.IsNotExist(err) {
		return requests{}
	}
	must(a.b, err)
	defer func() { _ = file.Close() }()
	_, err = file.Seek(a.offset, io.SeekStart)
	must(a.b, err)
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			break // half a line is read next time
		}
		a.offset += int64(len(line))
		a.add(bytes.TrimSpace(line))
	}
	return maps.Clone(a.seen)
}

func (a *audit) add(line []byte) {
	a.b.Helper()
	var entry struct {
		Verb       string `json:"verb"`
		RequestURI string `json:"requestURI"`
		ObjectRef  *struct {
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
		} `json:"objectRef"`
	}
	must(a.b, json.Unmarshal(line, &entry))
	what, _, _ := strings.Cut(entry.RequestURI, "?")
	if entry.ObjectRef != nil {
		what = entry.ObjectRef.Resource
		if entry.ObjectRef.Subresource != "" {
			what += "/" + entry.ObjectRef.Subresource
		}
	}
	a.seen[entry.Verb+" "+what]++
}

func (r requests) minus(before requests) requests {
	spent := requests{}
	for what, count := range r {
		if count -= before[what]; count > 0 {
			spent[what] = count
		}
	}
	return spent
}

func (r requests) total() int {
	sum := 0
	for _, count := range r {
		sum += count
	}
	return sum
}

// withoutLeases leaves out what goes on while nothing happens.
func (r requests) withoutLeases() int { return r.total() - r["update leases"] - r["get leases"] }

// writes counts what changed the cluster. A review of rights is a create that stores nothing, and the leader's own Lease
// belongs to no resource.
func (r requests) writes() int {
	sum := 0
	for what, count := range r {
		verb, resource, _ := strings.Cut(what, " ")
		if slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, verb) && !strings.HasPrefix(resource, "selfsubject") {
			sum += count
		}
	}
	return sum
}

func (r requests) reads() int { return r.total() - r.writes() }

// report writes the counts to the file that the parameters name.
func (s *scene) report(resources int, title string, spent requests) {
	s.b.Helper()
	if s.parameters.audit == "" {
		return
	}
	file, err := os.OpenFile(s.parameters.audit, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(s.b, err)
	defer func() { _ = file.Close() }()
	_, err = fmt.Fprintf(file, "%s: %d requests, %d of them writes\n", title, spent.total(), spent.writes())
	must(s.b, err)
	for _, what := range slices.SortedFunc(maps.Keys(spent), func(a, b string) int { return spent[b] - spent[a] }) {
		_, err = fmt.Fprintf(file, "%8.2f per resource  %6d  %s\n", float64(spent[what])/float64(resources), spent[what], what)
		must(s.b, err)
	}
}
