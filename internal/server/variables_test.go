package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server"
)

// recorded is a request that the official client sent.
type recorded struct {
	Query         string `json:"query"`
	OperationName string `json:"operationName,omitempty"`
	Variables     any    `json:"variables,omitempty"`
}

func readRecorded(t testing.TB) (all []recorded) {
	t.Helper()
	text, err := os.ReadFile("../../test/client/testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		var r recorded
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// mutation changes variables as a stream of bytes says. At its end everything stays as it is.
type mutation struct {
	choices []byte
	text    string
	of      tenant
	kinds   []string // of ids, in order
}

func (m *mutation) next() byte {
	if len(m.choices) == 0 {
		return 0
	}
	c := m.choices[0]
	m.choices = m.choices[1:]
	return c
}

// awkward numbers.
var awkward = []json.Number{"-1", "0", "1.5", "9007199254740993", "9223372036854775807", "-9223372036854775808", "1e300", "99999999999999999999"}

// change decides about a value and, where that stays, about what is in it.
func (m *mutation) change(v any) any {
	c := m.next()
	pick := int(c >> 4)
	switch c & 15 {
	case 8:
		return nil
	case 9:
		return m.text
	case 10:
		return m.of.ids[m.kinds[pick%len(m.kinds)]]
	case 11:
		return []string{m.of.name, names["project"], names["run"], "data:latest", "data:gold", names["file"], "../../x", strings.Repeat("x", 1<<10)}[pick%8]
	case 12:
		return awkward[pick%len(awkward)]
	case 13:
		return pick%2 == 0
	case 14:
		return []any{v, v}
	case 15:
		return map[string]any{"x": v}
	}
	return m.inside(v)
}

func (m *mutation) inside(v any) any {
	switch v := v.(type) {
	case map[string]any:
		changed := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			changed[name] = m.change(v[name])
		}
		return changed
	case []any:
		changed := make([]any, len(v))
		for i := range v {
			changed[i] = m.change(v[i])
		}
		return changed
	}
	return v
}

var idOfKind = regexp.MustCompile(`^([A-Za-z]+):`)

// aim makes the variables of a recorded request name what a tenant has in place of what the client had.
func aim(v any, of tenant, names map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		aimed := map[string]any{}
		for name, value := range v {
			aimed[name] = aim(value, of, names)
			if text, isText := value.(string); isText && names[name] != "" && text != "" {
				aimed[name] = names[name]
			}
		}
		return aimed
	case []any:
		aimed := make([]any, len(v))
		for i := range v {
			aimed[i] = aim(v[i], of, names)
		}
		return aimed
	case string:
		return aimText(v, of)
	}
	return v
}

// aimText replaces an id by that of a thing of its kind.
func aimText(text string, of tenant) string {
	decoded, err := base64.StdEncoding.DecodeString(text)
	kind := idOfKind.FindSubmatch(decoded)
	if err != nil || kind == nil {
		return text
	}
	for _, id := range of.ids {
		if other, err := base64.StdEncoding.DecodeString(id); err == nil && bytes.HasPrefix(other, kind[0]) {
			return id
		}
	}
	return text
}

// FuzzVariables sends what the client sends with other variables: of the right shapes and of wrong ones, and naming what is
// somebody else's. Each is answered by data or by errors that say something, and with nothing of somebody else.
func FuzzVariables(f *testing.F) {
	s := start(f, func(cfg *server.Config) { cfg.Logger, cfg.MetricsListen = slog.New(slog.DiscardHandler), "" })
	eve := s.settle(f, "eve")
	_, ada := s.createUser(f, "ada", false)
	kinds := slices.Sorted(maps.Keys(eve.ids))
	all := readRecorded(f)
	entities := map[string]string{
		"entity": eve.name, "entityName": eve.name, "project": names["project"], "projectName": names["project"], "name": names["run"], "run": names["run"],
		"runName": names["run"], "sweep": eve.ids["sweepName"],
	}
	for i := range all {
		f.Add(uint16(i), false, []byte(nil), "")
		f.Add(uint16(i), true, []byte(nil), "")
		for wrong := byte(8 + i%2); wrong < 16; wrong += 2 { // every variable of another shape
			f.Add(uint16(i), true, append([]byte{0}, bytes.Repeat([]byte{wrong, wrong | 0x30}, 12)...), "\x00{\"$or\":[{\"name\":{\"$regex\":\"(\"}}]}")
		}
		f.Add(uint16(i), true, []byte{0, 0, 0x1a, 0, 0x2b, 0, 0x4a, 0, 0x6c}, "[{}]")
	}
	f.Fuzz(func(t *testing.T, at uint16, hostile bool, choices []byte, text string) {
		r := all[int(at)%len(all)]
		if hostile {
			r.Variables = aim(r.Variables, eve, entities)
		}
		r.Variables = (&mutation{choices, text, eve, kinds}).change(r.Variables)
		body, err := json.Marshal(r)
		if err != nil {
			t.Skip("no JSON")
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(body))
		request.SetBasicAuth("api", ada)
		recorder := httptest.NewRecorder()
		s.handler.ServeHTTP(recorder, request)
		checkAnswer(t, string(body), recorder)
	})
}

func checkAnswer(t *testing.T, body string, recorder *httptest.ResponseRecorder) {
	t.Helper()
	answer, err := io.ReadAll(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	switch err := json.Unmarshal(answer, &decoded); {
	case err != nil:
		t.Fatalf("%s is answered by no JSON: %s", body, answer)
	case recorder.Code >= http.StatusInternalServerError:
		t.Fatalf("%s is answered %d %s", body, recorder.Code, answer)
	case len(decoded.Data) == 0 && len(decoded.Errors) == 0:
		t.Fatalf("%s is answered by neither data nor errors: %s", body, answer)
	case bytes.Contains(answer, []byte(canary)) && !strings.Contains(body, canary):
		t.Fatalf("%s shows what somebody else wrote: %s", body, answer)
	}
	for _, e := range decoded.Errors {
		if e.Message == "" || e.Message == "internal error" {
			t.Fatalf("%s: %s", body, answer)
		}
	}
}
