package run

import (
	"strings"

	"github.com/tidwall/gjson"
)

// source is where the values of a column come from.
type source uint8

const (
	// sourceMeta: the row of the run.
	sourceMeta source = iota
	// sourceLive: what changes without notice, read with every question.
	sourceLive
	sourceConfig
	sourceSummary
	// sourceLines: how many lines the run's history has.
	sourceLines
)

// column is one property of runs that a filter or an order names. It is a key of maps.
type column struct {
	source source
	// path is a field's name for rows, and the path of a value in a config or a summary.
	path string
}

// isTime tells whether the column's values are moments, in microseconds.
func (c column) isTime() bool {
	return c == columnCreated || c == columnHeartbeat
}

// Columns of the row of a run, and of what changes while it lives.
var (
	columnCreated   = column{sourceMeta, "created"}
	columnTags      = column{sourceMeta, "tags"}
	columnState     = column{sourceLive, "state"}
	columnHeartbeat = column{sourceLive, "heartbeat"}
	columnDuration  = column{sourceLive, "duration"}
	columnLines     = column{sourceLines, ""}
)

// columnNames are the names that clients use.
var columnNames = map[string]column{
	"name": {sourceMeta, "name"}, "displayName": {sourceMeta, "displayName"}, "display_name": {sourceMeta, "displayName"},
	"group": {sourceMeta, "group"}, "jobType": {sourceMeta, "jobType"}, "job_type": {sourceMeta, "jobType"},
	"host": {sourceMeta, "host"}, "commit": {sourceMeta, "commit"}, "description": {sourceMeta, "description"},
	"notes": {sourceMeta, "notes"}, "username": {sourceMeta, "username"}, "user.username": {sourceMeta, "username"},
	"user": {sourceMeta, "username"}, "sweep": {sourceMeta, "sweep"}, "entity": {sourceMeta, "entity"},
	"project": {sourceMeta, "project"}, "tags": columnTags, "createdAt": columnCreated, "created_at": columnCreated,
	"state": columnState, "heartbeatAt": columnHeartbeat, "heartbeat_at": columnHeartbeat, "duration": columnDuration,
	"historyLineCount": columnLines,
}

// columnPrefixes are what names of values in configs and summaries begin with.
var columnPrefixes = []struct {
	prefix string
	source source
}{
	{"config.", sourceConfig}, {"summary_metrics.", sourceSummary}, {"summaryMetrics.", sourceSummary}, {"summary.", sourceSummary},
	// A key that was logged is in the summary as well.
	{"keys_info.keys.", sourceSummary},
}

func parseColumn(name string) (column, bool) {
	if c, ok := columnNames[name]; ok {
		return c, true
	}
	for _, p := range columnPrefixes {
		if path, ok := strings.CutPrefix(name, p.prefix); ok && path != "" {
			return column{p.source, path}, true
		}
	}
	return column{}, false
}

// lookups find the values of several columns in one pass over a text.
type lookup struct {
	column column
	slot   int // where the column's values are
}

// find calls set with each looked-up value that a config or a summary has. A key may hold dots, so the longest key that
// begins a path is the one it means.
func find(body []byte, lookups []lookup, wrapped bool, set func(slot int, v value)) {
	if len(lookups) == 0 {
		return
	}
	best := make([]int, len(lookups))
	found := make([]gjson.Result, len(lookups))
	gjson.ParseBytes(body).ForEach(func(key, member gjson.Result) bool {
		for i, l := range lookups {
			rest, ok := strings.CutPrefix(l.column.path, key.Str)
			if !ok || (rest != "" && rest[0] != '.') || (best[i] > len(key.Str)) {
				continue
			}
			best[i] = len(key.Str)
			found[i] = descend(member, strings.TrimPrefix(rest, "."), wrapped)
		}
		return true
	})
	for i, l := range lookups {
		if v := valueOf(found[i]); v.kind != kindNone {
			set(l.slot, v)
		}
	}
}

// descend follows a path into a value. Values of a config are wrapped as {"value": …}, which paths may name or leave out.
func descend(member gjson.Result, path string, wrapped bool) gjson.Result {
	if wrapped && member.IsObject() {
		if inner := member.Get("value"); inner.Exists() {
			member = inner
			path = strings.TrimPrefix(strings.TrimPrefix(path, "value"), ".")
		}
	}
	for path != "" {
		if !member.IsObject() {
			if path == "value" && wrapped {
				return member
			}
			return gjson.Result{}
		}
		var next gjson.Result
		rest, length := "", -1
		member.ForEach(func(key, inner gjson.Result) bool {
			after, ok := strings.CutPrefix(path, key.Str)
			if ok && (after == "" || after[0] == '.') && len(key.Str) > length {
				next, rest, length = inner, strings.TrimPrefix(after, "."), len(key.Str)
			}
			return true
		})
		if length < 0 {
			if path == "value" && wrapped {
				return member
			}
			return gjson.Result{}
		}
		member, path = next, rest
	}
	return member
}
