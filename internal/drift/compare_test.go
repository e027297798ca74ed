package drift

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{}
	if err := utiljson.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	return content
}

func texts(paths []pointer) []string {
	var found []string
	for _, path := range paths {
		found = append(found, path.String())
	}
	return found
}

func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		live, wanted string
		loose        bool
		want         []string
	}{
		"equal objects do not differ":             {live: "{spec: {a: 1, b: [x, {c: d}]}}", wanted: "{spec: {a: 1, b: [x, {c: d}]}}"},
		"an integer equals its float":             {live: "{spec: {a: 1}}", wanted: "{spec: {a: 1.0}}"},
		"a scalar differs at its path":            {live: "{spec: {a: 1, b: 2}}", wanted: "{spec: {a: 1, b: 3}}", want: []string{"/spec/b"}},
		"the server's own fields are left out":    {live: "{status: {a: 1}, metadata: {uid: x, generation: 3, resourceVersion: '7', managedFields: [{}]}}", wanted: "{metadata: {}}"},
		"a label called status is no status":      {live: "{metadata: {labels: {status: a}}}", wanted: "{metadata: {labels: {status: b}}}", want: []string{"/metadata/labels/status"}},
		"an absent map is descended into":         {live: "{metadata: {}}", wanted: "{metadata: {annotations: {a/b: x, c~d: y}}}", want: []string{"/metadata/annotations/a~1b", "/metadata/annotations/c~0d"}},
		"items of equally long lists are paired":  {live: "{a: [{v: 1}, {v: 2}]}", wanted: "{a: [{v: 1}, {v: 3}]}", want: []string{"/a/1/v"}},
		"lists of other lengths differ as one":    {live: "{a: [1, 2]}", wanted: "{a: [1]}", want: []string{"/a"}},
		"a removed list differs as one":           {live: "{}", wanted: "{a: [1]}", want: []string{"/a"}},
		"an empty map is more than none":          {live: "{}", wanted: "{a: {}}", want: []string{"/a"}},
		"an empty map is none, taken loosely":     {live: "{}", wanted: "{a: {}}", loose: true},
		"null is none":                            {live: "{}", wanted: "{a: null}"},
		"a map and a scalar differ":               {live: "{a: {b: 1}}", wanted: "{a: 1}", want: []string{"/a"}},
		"quantities differ by their text":         {live: "{a: '1'}", wanted: "{a: 1000m}", want: []string{"/a"}},
		"quantities agree by value, loosely":      {live: "{a: '1'}", wanted: "{a: 1000m}", loose: true},
		"words do not agree loosely":              {live: "{a: x}", wanted: "{a: y}", loose: true, want: []string{"/a"}},
		"true is not a word":                      {live: "{a: true}", wanted: "{a: 'true'}", loose: true, want: []string{"/a"}},
		"an added field of others is a deviation": {live: "{a: 1, b: 2}", wanted: "{a: 1}", want: []string{"/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			differ := compare
			if test.loose {
				differ = compareLoosely
			}
			if diff := cmp.Diff(test.want, texts(differ(parse(t, test.live), parse(t, test.wanted)))); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverlay(t *testing.T) {
	const live = `{spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 81, nodePort: 30000}, {name: other, port: 9}]}}`
	const wanted = `{spec: {ports: [{name: http, port: 80}]}}`
	for name, test := range map[string]struct {
		live, wanted string
		keep         bool
		want         string
	}{
		"kept items keep what was allocated": {live: live, wanted: wanted, keep: true, want: `{spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80, nodePort: 30000}]}}`},
		"else the manifest's list stands":    {live: live, wanted: wanted, want: `{spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}}`},
		"null removes":                       {live: `{a: {b: 1, c: 2}}`, wanted: `{a: {b: null}}`, keep: true, want: `{a: {c: 2}}`},
		"lists of scalars are replaced":      {live: `{a: [1, 2, 3]}`, wanted: `{a: [4]}`, keep: true, want: `{a: [4]}`},
		"duplicate names pair by place":      {live: `{a: [{name: x, v: 1, d: 1}, {name: x, v: 2, d: 2}]}`, wanted: `{a: [{name: x, v: 3}, {name: x, v: 4}]}`, keep: true, want: `{a: [{name: x, v: 3, d: 1}, {name: x, v: 4, d: 2}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			before := parse(t, test.live)
			got := overlay(before, parse(t, test.wanted), test.keep)
			if diff := cmp.Diff(parse(t, test.want), got); diff != "" {
				t.Errorf("overlay (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(parse(t, test.live), before); diff != "" {
				t.Errorf("the live object was changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCarry(t *testing.T) {
	for name, test := range map[string]struct {
		content, live, wanted, path string
		fails                       bool
		want                        string
	}{
		"a scalar": {
			content: "{spec: {replicas: 1, a: b}}", live: "{spec: {replicas: 5, a: x}}", wanted: "{spec: {replicas: 1, a: b}}", path: "/spec/replicas",
			want: "{spec: {replicas: 5, a: b}}",
		},
		"what is gone goes": {
			content: "{metadata: {labels: {a: b, c: d}}}", live: "{metadata: {labels: {c: d}}}", wanted: "{metadata: {labels: {a: b, c: d}}}", path: "/metadata/labels/a",
			want: "{metadata: {labels: {c: d}}}",
		},
		"an item is found by name, not by place": {
			content: "{c: [{name: app, image: a}]}", live: "{c: [{name: side, image: s}, {name: app, image: x}]}",
			wanted: "{c: [{name: side, image: s}, {name: app, image: a}]}", path: "/c/1/image",
			want: "{c: [{name: app, image: x}]}",
		},
		"an item that the manifest does not have": {
			content: "{c: [{name: app, image: a}]}", live: "{c: [{name: side, image: s}, {name: app, image: x}]}",
			wanted: "{c: [{name: side, image: t}, {name: app, image: a}]}", path: "/c/0/image", fails: true,
		},
		"stringData yields to data": {
			content: "{kind: Secret, stringData: {a: plain, b: other}}", live: "{data: {a: bGl2ZQ==}}", wanted: "{data: {a: cGxhaW4=}}", path: "/data/a",
			want: "{kind: Secret, stringData: {b: other}, data: {a: bGl2ZQ==}}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := parsePointer(test.path)
			if err != nil {
				t.Fatal(err)
			}
			content := parse(t, test.content)
			if got := carry(content, parse(t, test.live), parse(t, test.wanted), path); got == test.fails {
				t.Fatalf("carry says %t", got)
			}
			if test.fails {
				return
			}
			if diff := cmp.Diff(parse(t, test.want), content); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"spec":{"a":[{"name":"x","v":1}],"b":null}}`, `{"spec":{"a":[{"name":"x","v":2}],"c":{"d":[]}}}`)
	f.Add(`{"a":[[1],[2]],"metadata":{"uid":"x"}}`, `{"a":[[1],{"b":3}],"status":7}`)
	f.Add(`{"ports":[{"port":80},{"port":80.0}]}`, `{"ports":[{"port":80}]}`)
	f.Fuzz(func(t *testing.T, liveText, wantedText string) {
		live, wanted := map[string]any{}, map[string]any{}
		if utiljson.Unmarshal([]byte(liveText), &live) != nil || utiljson.Unmarshal([]byte(wantedText), &wanted) != nil || live == nil || wanted == nil {
			t.Skip()
		}
		if found := compare(live, live); len(found) > 0 {
			t.Fatalf("an object differs from itself at %v", texts(found))
		}
		found := compare(live, wanted)
		if diff := cmp.Diff(texts(found), texts(compare(wanted, live))); diff != "" {
			t.Fatalf("the order of the sides matters: %s", diff)
		}
		for _, keep := range []bool{true, false} {
			once := overlay(live, wanted, keep)
			if diff := cmp.Diff(once, overlay(once, wanted, keep)); diff != "" {
				t.Fatalf("laying over twice is not once: %s", diff)
			}
		}
		content, complete := runtime.DeepCopyJSON(wanted), true
		for _, path := range found {
			if len(path) == 0 {
				t.Fatal("a difference has no path")
			}
			complete = carry(content, live, wanted, path) && complete
		}
		if left := compare(live, content); complete && len(left) > 0 {
			t.Fatalf("everything was carried, and yet %v differ", texts(left))
		}
	})
}
