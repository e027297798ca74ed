package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/test/mysql"
)

// A database that answers before it has written is found out at the next look, and forgiven when it is mended.
func TestReadyFailsWhereMySQLMayLoseAWrite(t *testing.T) {
	s := start(t, func(cfg *server.Config) { useMySQL(t, cfg) })
	admin := mysql.Admin(t)
	set := func(statement string) {
		t.Helper()
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatal(err)
		}
	}
	await := func(code int) (a answer) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			if a = s.do(t, http.DefaultClient, call{path: "/ready"}); a.code == code {
				return a
			}
		}
		t.Fatalf("still answered %d %s, want %d", a.code, a.body, code)
		return a
	}
	const strong = "SET GLOBAL innodb_flush_log_at_trx_commit = 1"
	t.Cleanup(func() { set(strong) })
	for _, weak := range []string{"SET GLOBAL innodb_flush_log_at_trx_commit = 0", "SET GLOBAL innodb_flush_log_at_trx_commit = 2"} {
		set(weak)
		if a := await(http.StatusServiceUnavailable); !strings.Contains(a.body, "DatabaseNotDurable") || !strings.Contains(a.body, "innodb_flush_log_at_trx_commit") {
			t.Errorf("%s: %s", weak, a.body)
		}
		set(strong)
		await(http.StatusOK)
	}
}
