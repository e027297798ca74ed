package preflight

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/mysql"
)

// mysqlInput points at a real database, with the password in a Secret.
func mysqlInput(t *testing.T, db mysql.Database) Input {
	t.Helper()
	in := input(t, "global: {mysql: {passwordSecret: {name: login}}}")
	settings := section(in.Values, "global", "mysql")
	settings["host"], settings["port"], settings["database"], settings["user"] = db.Host, float64(db.Port), db.Name, db.User
	in.Keys = fixedKeys{"login/MYSQL_PASSWORD": db.Password}
	in.Dial = nil
	return in
}

func TestARealMySQLPasses(t *testing.T) {
	db := mysql.Start(t)
	in := mysqlInput(t, db)
	report := Run(t.Context(), in)
	for _, name := range []string{MySQLReachable, MySQLVersion, MySQLParameters} {
		expect(t, name, named(t, report, name), Passed, "")
	}
	expect(t, "version", named(t, report, MySQLVersion), Passed, "MySQL ")

	authority, err := os.ReadFile(db.CACertPath)
	if err != nil {
		t.Fatal(err)
	}
	settings := section(in.Values, "global", "mysql")
	settings["caCert"] = string(authority)
	settings["port"] = strconv.Itoa(db.Port)
	settings["host"] = map[string]any{"valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "places", "key": "db"}}}
	in.Keys.(fixedKeys)["places/db"] = db.Host
	expect(t, "with its authority and references", named(t, Run(t.Context(), in), MySQLReachable), Passed, db.Host)
}

func TestFindingsInARealMySQL(t *testing.T) {
	db := mysql.Start(t)
	for sentence, c := range map[string]struct {
		change func(Input, map[string]any)
		want   Result
		part   string
	}{
		"a wrong password": {func(in Input, _ map[string]any) { in.Keys.(fixedKeys)["login/MYSQL_PASSWORD"] = "canary%2Fwrong" }, Failed, "Check global.mysql.user"},
		"an encoded password": {func(in Input, _ map[string]any) {
			in.Keys.(fixedKeys)["login/MYSQL_PASSWORD"] = url.PathEscape(db.Password)
		}, Warning, "percent-decoded"},
		"a database of somebody else": {func(_ Input, s map[string]any) { s["database"] = "canaries" }, Failed, "canaries"},
		"a port that is none":         {func(_ Input, s map[string]any) { s["port"] = "6379?tls=true" }, Failed, "port"},
		"no certificate":              {func(_ Input, s map[string]any) { s["caCert"] = "nothing" }, Failed, "caCert holds no certificate"},
		"another authority":           {func(_ Input, s map[string]any) { s["caCert"] = otherAuthority(t) }, Failed, "does not vouch"},
	} {
		in := mysqlInput(t, db)
		c.change(in, section(in.Values, "global", "mysql"))
		report := Run(t.Context(), in)
		expect(t, sentence, named(t, report, MySQLReachable), c.want, c.part)
		for _, secret := range []string{"canary%2Fwrong", "canary/wrong", db.Password, url.PathEscape(db.Password)} {
			if strings.Contains(report.Text(), secret) {
				t.Errorf("%s: a password is in\n%s", sentence, report.Text())
			}
		}
		if c.want == Failed && named(t, report, MySQLVersion).Result != Skipped {
			t.Errorf("%s: %s", sentence, named(t, report, MySQLVersion).Message)
		}
	}
}

func TestWeakSettingsOfARealMySQLBlock(t *testing.T) {
	db := mysql.Start(t)
	admin := mysql.Admin(t)
	set := func(value int) {
		t.Helper()
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), fmt.Sprintf("SET GLOBAL innodb_flush_log_at_trx_commit = %d", value)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { set(1) })
	set(2)
	report := Run(t.Context(), mysqlInput(t, db))
	expect(t, "weak", named(t, report, MySQLParameters), Failed, "innodb_flush_log_at_trx_commit is 2 and must be 1")
	if !report.Blocking() {
		t.Error("it does not block")
	}
}

func TestADatabaseThatIsAway(t *testing.T) {
	in := input(t, "global: {mysql: {host: db, password: canary-of-nobody}}")
	in.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}
	expect(t, "for a pod", named(t, Run(t.Context(), in), MySQLReachable), Failed, "db:3306 is not reached")
	in.Outside = true
	expect(t, "for a person", named(t, Run(t.Context(), in), MySQLReachable), Skipped, "pods may reach it")
}

func TestServersThatRefuse(t *testing.T) {
	d := database{host: "db", port: "3306", name: "wandb_local", user: "wandb"}
	for number, part := range map[uint16]string{
		1049: "CREATE DATABASE wandb_local", 1044: "GRANT ALL ON wandb_local.*", 1040: "max_connections", 1130: "any host", 1203: "refuses",
	} {
		expect(t, part, judgeRefusal(d, refusal(number)), Failed, part)
	}
}
