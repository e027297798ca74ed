// Package replicas tests what several replicas of W&B Server promise together: two real processes share a real MySQL and a real
// object store, are asked as the official client asks, and are killed and stopped.
package replicas

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/buckets"
	"github.com/kubewandb/kubewandb/test/mysql"
	"github.com/kubewandb/kubewandb/test/serverprocess"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestMain(m *testing.M) { os.Exit(serverprocess.Main(m, nil)) }

// world is two replicas on one database and one bucket, and who asks them.
type world struct {
	a, b     *serverprocess.Process
	database *mysql.Instance
	accounts *account.Service
	ada, eve visitor
}

// visitor is a user with a key.
type visitor struct {
	name, key  string
	user       account.User
	operations operations
	// patience is how long an answer is waited for.
	patience time.Duration
}

const (
	// shortly is how long a request may wait in place of store.LateAfter where a test stops replicas.
	shortly = 1500 * time.Millisecond
	// spare is by how much longer answers are waited for.
	spare = 500 * time.Millisecond
)

// newWorld starts two replicas, in which requests may wait for lateAfter.
func newWorld(t *testing.T, lateAfter time.Duration) *world {
	t.Helper()
	w := &world{database: mysql.StartInstance(t)}
	db := w.database.Database(t)
	cfg := serverprocess.Config{
		Bucket: buckets.S3(t), LateAfter: lateAfter, Logs: slog.LevelWarn,
		Store: store.Config{Logger: slog.New(slog.DiscardHandler), MySQL: &store.MySQL{
			Host: db.Host, Port: db.Port, Database: db.Name, User: db.User, Password: redact.Secret(db.Password),
		}},
	}
	w.accounts = account.New(storetest.Open(t, cfg.Store), account.Config{Logger: slog.New(slog.DiscardHandler)})
	all := readOperations(t)
	w.ada, w.eve = w.visitor(t, "ada", all), w.visitor(t, "eve", all)
	w.ada.patience, w.eve.patience = lateAfter+spare, lateAfter+spare
	w.a, w.b = serverprocess.Prepare(t, cfg), serverprocess.Prepare(t, cfg)
	for _, p := range []*serverprocess.Process{w.a, w.b} {
		p.Run(t)
	}
	w.await(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("one replica says:\n%s", lastLines(w.a.Output()))
			t.Logf("the other says:\n%s", lastLines(w.b.Output()))
		}
	})
	return w
}

func lastLines(text string) string { return text[max(0, len(text)-4000):] }

func (w *world) await(t *testing.T) {
	t.Helper()
	w.a.Await(t)
	w.b.Await(t)
}

func (w *world) visitor(t *testing.T, name string, all operations) visitor {
	t.Helper()
	user, err := w.accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := w.accounts.CreateKey(t.Context(), user, "")
	if err != nil {
		t.Fatal(err)
	}
	return visitor{name: name, key: key.Reveal(), user: user, operations: all}
}

// operations are texts of GraphQL by name, as the official client sends them.
type operations map[string]string

// recorded are requests of the official client.
const recorded = "../client/testdata/corpus.jsonl"

// readOperations takes the first text of each name: those of the newest client come first.
func readOperations(t *testing.T) operations {
	t.Helper()
	file, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	all := operations{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o struct{ Query, OperationName string }
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		name := o.OperationName
		if name == "" {
			name = nameOf(o.Query)
		}
		if _, known := all[name]; !known {
			all[name] = o.Query
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// nameOf finds the name in the text of an operation.
func nameOf(query string) string {
	query = strings.TrimPrefix(strings.TrimSpace(query), "#graphql")
	words := strings.FieldsFunc(query, func(r rune) bool { return r <= ' ' || r == '(' || r == '{' })
	if len(words) < 2 {
		return ""
	}
	return words[1]
}
