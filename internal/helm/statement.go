package helm

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Annotations of Chart.yaml that state what a release does to the application's data.
const (
	// AnnotationSchema is the version that the data's schema has once the release runs: a whole number, from 1.
	AnnotationSchema = "kubewandb.io/schema"
	// AnnotationReadableBy is the lowest schema version whose releases can still work on that data. Without it only
	// releases of the same schema version or a later one can.
	AnnotationReadableBy = "kubewandb.io/schema-readable-by"
	// AnnotationSchemaNote is a sentence for plans: what the migration does, how long it takes.
	AnnotationSchemaNote = "kubewandb.io/schema-note"

	// maxSchemaNote bounds what a chart can put into plans and status.
	maxSchemaNote = 300
)

// DataStatement is what a release says about the application's data. Its zero value says nothing.
type DataStatement struct {
	// Schema is the version of the data's schema once the release runs.
	Schema int
	// ReadableBy is the lowest schema version whose releases can still work on that data; at most Schema.
	ReadableBy int
	// Note is a sentence for people; empty for none.
	Note string
	// Known tells that the release states its schema.
	Known bool
}

// ParseStatement reads the annotations of a chart. One that cannot be read is a fault ChartInvalid: it must not pass for
// a chart that states nothing.
func ParseStatement(annotations map[string]string) (DataStatement, error) {
	note := strings.Join(strings.Fields(annotations[AnnotationSchemaNote]), " ")
	if runes := []rune(note); len(runes) > maxSchemaNote {
		note = string(runes[:maxSchemaNote-1]) + "…"
	}
	statement := DataStatement{Note: note}
	schema, hasSchema := annotations[AnnotationSchema]
	readable, hasReadable := annotations[AnnotationReadableBy]
	if !hasSchema && !hasReadable {
		return statement, nil
	}
	var err error
	if statement.Schema, err = schemaVersion(AnnotationSchema, schema); err != nil {
		return DataStatement{}, err
	}
	statement.ReadableBy = statement.Schema
	if hasReadable {
		if statement.ReadableBy, err = schemaVersion(AnnotationReadableBy, readable); err != nil {
			return DataStatement{}, err
		}
	}
	if statement.ReadableBy > statement.Schema {
		return DataStatement{}, badStatement(fmt.Errorf("%s is %d, above %s, which is %d", AnnotationReadableBy, statement.ReadableBy, AnnotationSchema, statement.Schema))
	}
	statement.Known = true
	return statement, nil
}

func schemaVersion(name, text string) (int, error) {
	version, err := strconv.ParseInt(text, 10, 32)
	if err != nil || version < 1 {
		return 0, badStatement(fmt.Errorf("annotation %s is %.40q, and must be a whole number from 1", name, text))
	}
	return int(version), nil
}

func badStatement(cause error) error {
	return &fault.Error{
		Reason: v1.ReasonChartInvalid, Op: "read what the chart states about its data", Err: cause,
		Hint: "Correct the annotation in Chart.yaml, and publish the chart under a new version.",
	}
}

// Statement returns what the chart states about the application's data.
func (c *Chart) Statement() (DataStatement, error) { return ParseStatement(c.Annotations) }

// StoredStatement returns what the chart stated that a revision was made from; the zero value where there is no such
// revision.
func (c *Client) StoredStatement(ctx context.Context, namespace, name string, revision int) (DataStatement, error) {
	facts, err := c.storedFacts(ctx, namespace, name, revision)
	if err != nil {
		return DataStatement{}, failed("read what release "+name+" states about its data", v1.ReasonInternalError, err, nil)
	}
	return ParseStatement(facts.annotations)
}

// CanRead tells whether the older release can work on data that the newer one has migrated, and why: a sentence without
// its full stop. Where neither says anything about data, the chart is one that knows nothing of statements, and going
// back is allowed as Helm allows it.
func CanRead(older, newer DataStatement) (safe bool, why string) {
	switch {
	case !older.Known && !newer.Known:
		return true, "neither release states the schema of its data, so that it is taken as unchanged"
	case !older.Known:
		return false, fmt.Sprintf("the earlier release does not state which schema it can read, and the data has version %d", newer.Schema)
	case !newer.Known:
		return false, fmt.Sprintf("the later release does not state what it made of the data, and the earlier one knows schema version %d", older.Schema)
	case older.Schema >= newer.Schema:
		return true, fmt.Sprintf("the schema of the data stays within version %d, which the earlier release knows", older.Schema)
	case older.Schema >= newer.ReadableBy:
		return true, fmt.Sprintf("data of schema version %d can be read by releases of version %d, and the earlier one has %d", newer.Schema, newer.ReadableBy, older.Schema)
	default:
		return false, fmt.Sprintf("data of schema version %d needs releases of version %d or later, and the earlier one has %d", newer.Schema, newer.ReadableBy, older.Schema)
	}
}
