package helm_test

import (
	"strings"
	"testing"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
)

func TestParseStatement(t *testing.T) {
	for sentence, test := range map[string]struct {
		annotations map[string]string
		want        helm.DataStatement
		err         string
	}{
		"nothing":                       {nil, helm.DataStatement{}, ""},
		"both":                          {map[string]string{helm.AnnotationSchema: "7", helm.AnnotationReadableBy: "5"}, helm.DataStatement{Schema: 7, ReadableBy: 5, Known: true}, ""},
		"only the schema":               {map[string]string{helm.AnnotationSchema: "7"}, helm.DataStatement{Schema: 7, ReadableBy: 7, Known: true}, ""},
		"a note becomes one line":       {map[string]string{helm.AnnotationSchema: "1", helm.AnnotationSchemaNote: " Takes\n an hour. "}, helm.DataStatement{Schema: 1, ReadableBy: 1, Note: "Takes an hour.", Known: true}, ""},
		"a note alone states no schema": {map[string]string{helm.AnnotationSchemaNote: "Back up first."}, helm.DataStatement{Note: "Back up first."}, ""},
		"no number":                     {map[string]string{helm.AnnotationSchema: "v7"}, helm.DataStatement{}, "whole number"},
		"an empty text":                 {map[string]string{helm.AnnotationSchema: ""}, helm.DataStatement{}, "whole number"},
		"zero":                          {map[string]string{helm.AnnotationSchema: "0"}, helm.DataStatement{}, "whole number"},
		"a number beyond all measure":   {map[string]string{helm.AnnotationSchema: "99999999999"}, helm.DataStatement{}, "whole number"},
		"readable by, without a schema": {map[string]string{helm.AnnotationReadableBy: "1"}, helm.DataStatement{}, helm.AnnotationSchema},
		"readable by later ones only":   {map[string]string{helm.AnnotationSchema: "2", helm.AnnotationReadableBy: "3"}, helm.DataStatement{}, "above"},
	} {
		got, err := helm.ParseStatement(test.annotations)
		if test.err == "" {
			if err != nil || got != test.want {
				t.Errorf("%s: %+v, %v; want %+v", sentence, got, err, test.want)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.err) || fault.Reason(err, "") != v1.ReasonChartInvalid || got != test.want {
			t.Errorf("%s: %+v, %v; want an error about %q", sentence, got, err, test.err)
		}
	}
}

func TestCanRead(t *testing.T) {
	states := func(schema, readableBy int) helm.DataStatement {
		return helm.DataStatement{Schema: schema, ReadableBy: readableBy, Known: true}
	}
	for sentence, test := range map[string]struct {
		older, newer helm.DataStatement
		safe         bool
		why          string
	}{
		"the same schema":                    {states(3, 3), states(3, 3), true, "stays within version 3"},
		"a migration that older ones read":   {states(3, 2), states(4, 3), true, "can be read by releases of version 3"},
		"a migration that they cannot read":  {states(3, 2), states(4, 4), false, "needs releases of version 4"},
		"two steps, the last one compatible": {states(2, 1), states(4, 3), false, "the earlier one has 2"},
		"the later one has the older schema": {states(4, 4), states(3, 3), true, "which the earlier release knows"},
		"neither says anything":              {helm.DataStatement{}, helm.DataStatement{}, true, "neither release states"},
		"the earlier one says nothing":       {helm.DataStatement{}, states(1, 1), false, "the earlier release does not state"},
		"the later one says nothing":         {states(1, 1), helm.DataStatement{}, false, "the later release does not state"},
	} {
		safe, why := helm.CanRead(test.older, test.newer)
		if safe != test.safe || !strings.Contains(why, test.why) {
			t.Errorf("%s: %v, %q; want %v, %q", sentence, safe, why, test.safe, test.why)
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	f.Add("1", "1", "note")
	f.Add("7", "", "")
	f.Add("-1", "９", "\x00")
	f.Fuzz(func(t *testing.T, schema, readable, note string) {
		got, err := helm.ParseStatement(map[string]string{helm.AnnotationSchema: schema, helm.AnnotationReadableBy: readable, helm.AnnotationSchemaNote: note})
		switch {
		case err != nil && got != helm.DataStatement{}:
			t.Errorf("an error came with %+v", got)
		case err == nil && (!got.Known || got.ReadableBy < 1 || got.ReadableBy > got.Schema || strings.ContainsAny(got.Note, "\r\n")):
			t.Errorf("%+v", got)
		}
	})
}

func TestStatementsAreReadFromStorage(t *testing.T) {
	b := newBench(t, nil)
	chart := func(annotations string) map[string]string {
		return with(configMapChart("1.0.0"), map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.0.0\nannotations: " + annotations + "\n",
		})
	}
	b.install(t, chart(`{kubewandb.io/schema: "3", kubewandb.io/schema-readable-by: "2", kubewandb.io/schema-note: Adds an index.}`), nil)
	if _, err := b.Upgrade(t.Context(), b.apply(chart("{}"), nil)(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Upgrade(t.Context(), b.apply(chart(`{kubewandb.io/schema: x}`), nil)(t)); err != nil {
		t.Fatal(err)
	}
	want := map[int]helm.DataStatement{1: {Schema: 3, ReadableBy: 2, Note: "Adds an index.", Known: true}, 2: {}, 9: {}}
	for round := range 2 {
		for revision, statement := range want {
			got, err := b.StoredStatement(t.Context(), b.namespace, "demo", revision)
			if err != nil || got != statement {
				t.Errorf("round %d, revision %d: %+v, %v; want %+v", round, revision, got, err, statement)
			}
		}
	}
	if _, err := b.StoredStatement(t.Context(), b.namespace, "demo", 3); fault.Reason(err, "") != v1.ReasonChartInvalid {
		t.Errorf("a statement that cannot be read: %v", err)
	}
	loaded := localChart(t, chart(`{kubewandb.io/schema: "4"}`))
	if got, err := loaded.Statement(); err != nil || got != (helm.DataStatement{Schema: 4, ReadableBy: 4, Known: true}) {
		t.Errorf("the chart itself states %+v, %v", got, err)
	}
}
