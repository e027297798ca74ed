package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestAnOlderProgramOnNewerData goes back to this program from one that has brought the database to the next level.
func TestAnOlderProgramOnNewerData(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) serverprocess.Config{
		"sqlite": func(t *testing.T) serverprocess.Config {
			folder := t.TempDir()
			return serverprocess.Config{DataDir: folder, Store: store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite"), Logger: slog.New(slog.DiscardHandler)}}
		},
		"mysql": func(t *testing.T) serverprocess.Config { return serverprocess.Config{Store: storetest.MySQL(t)} },
	} {
		t.Run(name, func(t *testing.T) { goBack(t, prepare(t)) })
	}
}

func goBack(t *testing.T, cfg serverprocess.Config) {
	s := storetest.Open(t, cfg.Store)
	accounts := account.New(s, account.Config{Logger: slog.New(slog.DiscardHandler)})
	user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := accounts.CreateKey(t.Context(), user, "")
	if err != nil {
		t.Fatal(err)
	}
	ada := visitor{name: "ada", key: key.Reveal(), operations: readOperations(t), patience: store.LateAfter}
	schema, err := s.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := schema.Wanted
	_, pool := s.Pools()
	write := func(statement string, arguments ...any) {
		t.Helper()
		if _, err := pool.ExecContext(t.Context(), statement, arguments...); err != nil {
			t.Fatal(err)
		}
	}

	process := serverprocess.Start(t, cfg)
	ada.ask(t, process, "UpsertBucket", fields{"entity": entity, "project": project, "name": "before"})
	process.Kill(t)

	// The next release only adds.
	write("INSERT INTO schema_levels (level, readable_by) VALUES (?, ?)", own+1, own)
	write("CREATE TABLE things_of_tomorrow (id BIGINT PRIMARY KEY)")
	write("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", own+1, true)
	process.Run(t)
	process.Await(t)
	expect(t, "what the older one wrote", ada.ask(t, process, "Run", fields{"entity": entity, "project": project, "name": "before"}).get("data.project.run.state").String(), "running")
	ada.ask(t, process, "UpsertBucket", fields{"entity": entity, "project": project, "name": "after"})
	ada.stream(t, process, "after", fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}})

	// The one after that removes, while this program runs.
	write("INSERT INTO schema_levels (level, readable_by) VALUES (?, ?)", own+2, own+2)
	awaitReason(t, process, store.ReasonSchemaTooNew)
	process.Kill(t)
	process.Run(t)
	if err := process.Wait(t); err == nil {
		t.Error("a program that cannot read the database ends without an error")
	}
	for _, want := range []string{
		store.ReasonSchemaTooNew, fmt.Sprintf("needs a program of schema %d or later, and this one has %d", own+2, own), "restore a backup",
	} {
		if !strings.Contains(process.Output(), want) {
			t.Errorf("the error lacks %q:\n%s", want, process.Output())
		}
	}
}

// awaitReason waits until a server says that it is not ready, and why.
func awaitReason(t *testing.T, p *serverprocess.Process, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var text []byte
	for {
		if status, body, err := probe(ctx, p.URL+"/ready"); err == nil && status == http.StatusServiceUnavailable {
			var answer struct{ Reason string }
			if text = body; json.Unmarshal(body, &answer) == nil && answer.Reason == reason {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the server does not say %s, but %s", reason, text)
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	response, err := connections.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
