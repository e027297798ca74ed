package replicas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// entry is a line of the history: its step, and what tells it from all others.
type entry struct {
	step int64
	mark string
}

// digest is a summary of one writer.
type digest struct {
	stamp  int64
	values map[string]string
}

// model is what a run must show to every reader.
type model struct {
	exists    bool
	history   map[string]map[int64]entry // by writer and line
	events    map[string]map[int64]string
	console   map[string]map[int64]string
	summaries map[string]digest
	config    string
	notes     string
	state     string
	exit      int64
	stopping  bool
}

func newModel() *model {
	return &model{
		history: map[string]map[int64]entry{}, events: map[string]map[int64]string{}, console: map[string]map[int64]string{},
		summaries: map[string]digest{},
	}
}

func (m *model) clone() *model {
	c := *m
	c.history, c.events, c.console = cloned(m.history), cloned(m.events), cloned(m.console)
	c.summaries = maps.Clone(m.summaries)
	return &c
}

func cloned[V any](m map[string]map[int64]V) map[string]map[int64]V {
	c := map[string]map[int64]V{}
	for writer, lines := range m {
		c[writer] = maps.Clone(lines)
	}
	return c
}

// put lays lines over those that are there, and tells whether some of them are beyond the last.
func put[V any](into map[string]map[int64]V, writer string, first int64, lines []V) (grew bool) {
	if len(lines) == 0 {
		return false
	}
	grew = first+int64(len(lines)) > next(into[writer])
	if into[writer] == nil {
		into[writer] = map[int64]V{}
	}
	for i, line := range lines {
		into[writer][first+int64(i)] = line
	}
	return grew
}

// next is the number behind the last line.
func next[V any](lines map[int64]V) int64 {
	n := int64(0)
	for number := range lines {
		n = max(n, number+1)
	}
	return n
}

// total is what the client is told as the number of lines.
func total[V any](of map[string]map[int64]V) int64 {
	n := int64(0)
	for _, lines := range of {
		n += next(lines)
	}
	return n
}

// message is what a request to file_stream brings.
type message struct {
	writer                        string
	historyAt, eventAt, consoleAt int64
	history                       []entry
	events, console               []string
	summary                       *digest
	complete                      bool
	exit                          int64
}

// body is the request as the client writes it.
func (m *message) body() fields {
	files := fields{}
	var history []string
	for _, e := range m.history {
		history = append(history, fmt.Sprintf(`{"_step":%d,"v":%q}`, e.step, e.mark))
	}
	for name, part := range map[string]struct {
		at      int64
		content []string
	}{historyFile: {m.historyAt, history}, eventsFile: {m.eventAt, m.events}, consoleFile: {m.consoleAt, m.console}} {
		if len(part.content) > 0 {
			files[name] = lines(part.at, part.content...)
		}
	}
	if m.summary != nil {
		files[summaryFile] = lines(0, m.summary.text())
	}
	body := fields{"files": files}
	if m.complete {
		body["complete"], body["exitcode"] = true, m.exit
	}
	return body
}

func (d digest) text() string {
	parts := []string{fmt.Sprintf(`"_timestamp":%d`, d.stamp)}
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		parts = append(parts, fmt.Sprintf("%q:%q", key, d.values[key]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// hear does to the model what a message that was not heard before does to a run.
func (m *model) hear(say *message) {
	fresh := put(m.history, say.writer, say.historyAt, say.history)
	put(m.events, say.writer, say.eventAt, say.events)
	put(m.console, say.writer, say.consoleAt, say.console)
	if d := say.summary; d != nil && d.stamp >= m.summaries[say.writer].stamp {
		m.summaries[say.writer] = *d
	}
	switch {
	case say.complete && say.exit == 0:
		m.state, m.exit = "finished", 0
	case say.complete:
		m.state, m.exit = "failed", say.exit
	case fresh:
		m.state, m.exit = "running", 0
	}
}

// edit replaces the summaries of all writers.
func (m *model) edit(values map[string]string) {
	newest := int64(0)
	for _, d := range m.summaries {
		newest = max(newest, d.stamp)
	}
	m.summaries = map[string]digest{"": {stamp: newest, values: values}}
}

// cut drops what is beyond a step.
func (m *model) cut(step int64) {
	for _, lines := range m.history {
		maps.DeleteFunc(lines, func(_ int64, e entry) bool { return e.step > step })
	}
}

// summary is that of all writers: of a key that several have, the newest counts.
func (m *model) summary() map[string]string {
	type row struct {
		writer string
		digest
	}
	var rows []row
	for writer, d := range m.summaries {
		rows = append(rows, row{writer, d})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.stamp, b.stamp), cmp.Compare(a.writer, b.writer)) })
	merged := map[string]string{}
	for _, r := range rows {
		maps.Copy(merged, r.values)
	}
	return merged
}

// text is the whole in a form that is compared.
func (m *model) text() string {
	if !m.exists {
		return "no run"
	}
	var b strings.Builder
	var rows []string
	type place struct {
		entry
		writer string
		number int64
	}
	var all []place
	last, named := int64(-1), 0
	for writer, lines := range m.history {
		for number, e := range lines {
			all = append(all, place{e, writer, number})
			last = max(last, e.step)
			named++
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(a.writer, b.writer), cmp.Compare(a.number, b.number))
	})
	for _, p := range all {
		rows = append(rows, fmt.Sprint(p.step, "=", p.mark))
	}
	fmt.Fprintf(&b, "state %s %d, notes %q, config %s\n", m.state, m.exit, m.notes, m.config)
	fmt.Fprintf(&b, "summary %v\n", m.summary())
	fmt.Fprintf(&b, "history %d lines, last step %d, %d named: %s\n", total(m.history), last, named, strings.Join(rows, " "))
	fmt.Fprintf(&b, "events %d lines\nconsole %d lines: %s\n", total(m.events), total(m.console), strings.Join(sortedLines(m.console), "|"))
	return b.String()
}

// sortedLines are the lines of all writers, without what stands before their text.
func sortedLines(of map[string]map[int64]string) []string {
	var all []string
	for _, lines := range of {
		for _, line := range lines {
			all = append(all, line[strings.LastIndex(line, " ")+1:])
		}
	}
	slices.Sort(all)
	return all
}

// everything asks for all that the model knows.
const everything = `query Everything($entity:String,$project:String,$name:String!){project(name:$project,entityName:$entity){run(name:$name){
	state exitcode config notes summaryMetrics historyLineCount eventsLineCount logLineCount historyKeys
	history(minStep:0,maxStep:1000000000,samples:1000000) sampledHistory(specs:["{\"keys\":[\"_step\",\"v\"],\"samples\":100000}"])
	logLines(first:10000){edges{node{number line}}} }}}`

// textOf is the same form of what a replica has answered.
func textOf(run gjson.Result) string {
	if !run.IsObject() {
		return "no run"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "state %s %d, notes %q, config %s\n", run.Get("state"), run.Get("exitcode").Int(), run.Get("notes"), run.Get("config"))
	var summary map[string]any
	if err := json.Unmarshal([]byte(run.Get("summaryMetrics").String()), &summary); err != nil {
		return err.Error()
	}
	delete(summary, "_timestamp")
	values := map[string]string{}
	for key, value := range summary {
		values[key] = fmt.Sprint(value)
	}
	fmt.Fprintf(&b, "summary %v\n", values)
	last, named := int64(-1), int64(0)
	if keys := run.Get("historyKeys"); keys.IsObject() {
		last = keys.Get("lastStep").Int()
		for _, count := range keys.Get("keys.v.typeCounts").Array() {
			named += count.Get("count").Int()
		}
	}
	var rows, sampled []string
	for _, line := range run.Get("history").Array() {
		rows = append(rows, gjson.Get(line.String(), "_step").Raw+"="+gjson.Get(line.String(), "v").String())
	}
	for _, row := range run.Get("sampledHistory.0").Array() {
		sampled = append(sampled, row.Get("_step").Raw+"="+row.Get("v").String())
	}
	if !slices.Equal(rows, sampled) {
		return fmt.Sprintf("the page holds %s, the sample %s", rows, sampled)
	}
	fmt.Fprintf(&b, "history %s lines, last step %d, %d named: %s\n", run.Get("historyLineCount"), last, named, strings.Join(rows, " "))
	var console []string
	for _, edge := range run.Get("logLines.edges").Array() {
		line := edge.Get("node.line").String()
		console = append(console, line[strings.LastIndex(line, " ")+1:])
	}
	slices.Sort(console)
	fmt.Fprintf(&b, "events %s lines\nconsole %s lines: %s\n", run.Get("eventsLineCount"), run.Get("logLineCount"), strings.Join(console, "|"))
	return b.String()
}
