package artifact

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestVersionsAreNoAliases(t *testing.T) {
	for text, want := range map[string]int64{"v0": 0, "v12": 12, "v": -1, "v01": -1, "v-1": -1, "V1": -1, "v1x": -1, "latest": -1, "v99999999999999999999": -1} {
		n, ok := parseVersion(text)
		if ok != (want >= 0) || (ok && n != want) {
			t.Errorf("%q is version %d, %v", text, n, ok)
		}
	}
}

func TestTheDigestOfKnownEntries(t *testing.T) {
	// The bytes of paths decide their order: capitals come before small letters, and these before letters with accents.
	lines := []digestLine{{"é", "4"}, {"b", "3"}, {"a/b", "2"}, {"Z", "1"}}
	if got := digestOf(lines); got != "c10edb49a4a2a787b0575f2cfe62a409" {
		t.Errorf("digest %s of %v", got, lines)
	}
	if got := digestOf(nil); got != "64e7c61456b10382e2f3b571ac24b659" {
		t.Errorf("the digest of nothing is %s", got)
	}
}

// FuzzManifest: whatever a manifest holds, reading it ends, merging keeps every entry's text, and reading on from behind any
// entry gives what is left.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"contents":{"a":{"digest":"x","size":1,"extra":{"n":1.0}},"b":{"ref":"s3://x","size":null}}}`,
		`{"contents":{}}`, `{"contents":{"a":{}},"z":[{}]}`, `{"contents":[]}`, `[]`, `{"contents":{"a":{"size":"1"}}}`, `{"contents":{"a":{}`,
		"{\"contents\":{\"a\\u0000\":{\"digest\":\"\xff\"}}}", `{"contents":{"a":{}},"contents":{"b":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var entries []entry
		if _, err := readManifest(bytes.NewReader(text), func(e entry) error { entries = append(entries, e); return nil }); err != nil {
			return
		}
		changes := newOverlay()
		if err := changes.add(bytes.NewReader(text)); err != nil {
			t.Fatalf("read again: %v", err)
		}
		var merged bytes.Buffer
		if _, err := changes.write(&merged, nil); err != nil {
			t.Fatalf("write: %v", err)
		}
		if !json.Valid(merged.Bytes()) {
			t.Fatalf("the merged manifest is no JSON: %s", merged.Bytes())
		}
		last := map[string]string{}
		for _, e := range entries {
			last[e.path] = string(e.raw)
		}
		n := 0
		if _, err := readManifest(&merged, func(e entry) error {
			n++
			if string(e.raw) != last[e.path] {
				t.Errorf("the entry %q became %s, want %s", e.path, e.raw, last[e.path])
			}
			return nil
		}); err != nil || n != len(last) {
			t.Fatalf("the merged manifest holds %d entries, want %d: %v", n, len(last), err)
		}
		for i, e := range entries {
			left := entries[i+1:]
			rest := strings.TrimLeft(string(text[e.end:]), " \t\r\n")
			if err := readEntries(strings.NewReader(rest), func(e entry) error {
				if len(left) == 0 || e.path != left[0].path {
					t.Errorf("behind %q stands %q", entries[i].path, e.path)
					return io.EOF
				}
				left = left[1:]
				return nil
			}); err != nil || len(left) != 0 {
				t.Fatalf("behind %q: %v, %d left", e.path, err, len(left))
			}
		}
	})
}

// FuzzFilter: whatever a filter holds, it is refused or answers.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`{"$and":[{"tag":{"$in":["a"]}},{"$or":[{"alias":"x"},{"n":{"$gt":1}}]}]}`, `{"a":{"$not":{"$exists":false}}}`, `{"n":{"$gte":1e400}}`,
		`{"created_at":{"$lt":"2026"}}`, `{"$nor":[]}`, `{"a":null}`, `{"a":[1]}`, `{"a":{"$regex":"(a*)*b"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wanted, everything, err := parseFilter(text)
		if err != nil || everything {
			return
		}
		wanted(func(key string) []any { return []any{key, int64(len(key)), key == "", json.Number("1.5")} })
		wanted(func(string) []any { return nil })
	})
}
