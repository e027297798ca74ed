package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/mysql"
)

// shell is where commands are run: a pod with its environment.
type shell struct{ database []string }

// each runs a test in a pod with a database of each kind.
func each(t *testing.T, test func(t *testing.T, sh shell)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, shell{[]string{"--data-dir", t.TempDir()}}) })
	t.Run("mysql", func(t *testing.T) {
		db := mysql.Start(t)
		t.Setenv("MYSQL_PASSWORD", db.Password)
		test(t, shell{[]string{
			"--mysql-host", db.Host, "--mysql-port", strconv.Itoa(db.Port), "--mysql-database", db.Name, "--mysql-user", db.User,
		}})
	})
}

func (sh shell) run(ctx context.Context, input string, arguments ...string) (output, logged string, err error) {
	var out, logs bytes.Buffer
	root := command()
	root.SetArgs(append(arguments, sh.database...))
	root.SetIn(strings.NewReader(input))
	root.SetOut(&out)
	root.SetErr(&logs)
	err = root.ExecuteContext(ctx)
	return out.String(), logs.String(), err
}

func (sh shell) must(t *testing.T, into any, input string, arguments ...string) string {
	t.Helper()
	output, logged, err := sh.run(t.Context(), input, arguments...)
	if err != nil {
		t.Fatalf("server %s: %v: %s", strings.Join(arguments, " "), err, logged)
	}
	if err := json.Unmarshal([]byte(output), into); err != nil {
		t.Fatalf("server %s printed no JSON: %v: %s", strings.Join(arguments, " "), err, output)
	}
	return output
}

func TestAccountsFromAShell(t *testing.T) {
	each(t, func(t *testing.T, sh shell) {
		var created, second admin.User
		sh.must(t, &created, "", "admin", "user", "create", "--username", "ada", "--email", "ada@example.com", "--name", "Ada L.", "--admin")
		if created.Username != "ada" || !created.Admin || created.Name != "Ada L." || len(created.Password) < 20 {
			t.Errorf("created %+v", created)
		}
		chosen := "local-" + strings.Repeat("c0de", 10)
		text := sh.must(t, &second, "violet rocket 9\n"+chosen+"\n", "admin", "user", "create", "--username", "ci", "--email", "ci@example.com",
			"--password-stdin", "--api-key", "-")
		if second.Admin || second.Name != "ci" || strings.Contains(text, "violet") || strings.Contains(text, chosen) {
			t.Errorf("created %s", text)
		}
		var users []admin.User
		sh.must(t, &users, "", "admin", "user", "list")
		if len(users) != 2 || users[0].ID != created.ID || users[1].Username != "ci" || users[0].Password != "" {
			t.Errorf("users are %+v", users)
		}

		var key, given keyOutput
		sh.must(t, &key, "", "admin", "key", "create", "--username", "ada", "--description", "laptop")
		if len(key.Key) != 40 || key.Name != key.Key[:8] || key.Description != "laptop" {
			t.Errorf("created %+v", key)
		}
		other := strings.Repeat("f00d", 10)
		sh.must(t, &given, other+"\n", "admin", "key", "create", "--username", "ada", "--key", "-")
		var keys []keyOutput
		text = sh.must(t, &keys, "", "admin", "key", "list", "--username", "ADA")
		if len(keys) != 2 || strings.Contains(text, key.Key) || strings.Contains(text, other) {
			t.Errorf("keys are %s", text)
		}
		var revoked map[string]string
		sh.must(t, &revoked, "", "admin", "key", "revoke", "--username", "ada", "--id", key.ID)
		sh.must(t, &keys, "", "admin", "key", "list", "--username", "ada")
		if len(keys) != 1 || keys[0].ID != given.ID {
			t.Errorf("after revoking: %+v", keys)
		}

		accounts := sh.accounts(t)
		for sentence, c := range map[string]struct{ login, password string }{
			"a generated password": {"ada", created.Password}, "a password from standard input": {"ci", "violet rocket 9"},
		} {
			if _, _, err := accounts.SignIn(t.Context(), c.login, redact.Secret(c.password), "test"); err != nil {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if user, err := accounts.ByKey(t.Context(), redact.Secret(chosen)); err != nil || user.Username != "ci" {
			t.Errorf("the chosen key belongs to %+v, %v", user, err)
		}

		var changed admin.User
		sh.must(t, &changed, "", "admin", "user", "set-password", "--username", "ada")
		if _, _, err := accounts.SignIn(t.Context(), "ada", redact.Secret(changed.Password), "test"); err != nil || changed.Password == created.Password {
			t.Errorf("the new password: %v", err)
		}
		sh.must(t, &changed, "", "admin", "user", "delete", "--username", "ci")
		if _, err := accounts.ByKey(t.Context(), redact.Secret(chosen)); fault.Reason(err, "") != account.ReasonRefused {
			t.Errorf("the key of a deleted user: %v", err)
		}
	})
}

// accounts opens the same database as a running server would.
func (sh shell) accounts(t *testing.T) *account.Service {
	t.Helper()
	s := &settings{logLevel: "error"}
	probe := command()
	if err := probe.ParseFlags(sh.database); err != nil {
		t.Fatal(err)
	}
	s.DataDir = probe.PersistentFlags().Lookup("data-dir").Value.String()
	cfg := s.StoreConfig()
	if host := probe.PersistentFlags().Lookup("mysql-host").Value.String(); host != "" {
		port, err := strconv.Atoi(probe.PersistentFlags().Lookup("mysql-port").Value.String())
		if err != nil {
			t.Fatal(err)
		}
		cfg.MySQL = &store.MySQL{
			Host: host, Port: port, Password: redact.Secret(os.Getenv("MYSQL_PASSWORD")),
			Database: probe.PersistentFlags().Lookup("mysql-database").Value.String(), User: probe.PersistentFlags().Lookup("mysql-user").Value.String(),
		}
	}
	opened, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	if err := opened.Prepare(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return account.New(opened, account.Config{})
}

func TestCommandsRunBesideEachOther(t *testing.T) {
	each(t, func(t *testing.T, sh shell) {
		accounts := sh.accounts(t) // as a running server
		const commands = 6
		results := make([]error, commands)
		var group sync.WaitGroup
		for i := range commands {
			group.Go(func() {
				_, _, results[i] = sh.run(t.Context(), "", "admin", "user", "create", "--no-password",
					"--username", fmt.Sprintf("user%d", i), "--email", fmt.Sprintf("user%d@example.com", i))
			})
		}
		for range 20 {
			if _, _, err := accounts.CreateKey(t.Context(), oneOf(t, accounts), "test"); err != nil && fault.Reason(err, "") != account.ReasonNotFound {
				t.Errorf("the server beside the commands: %v", err)
			}
		}
		group.Wait()
		if err := errors.Join(results...); err != nil {
			t.Error(err)
		}
		var users []admin.User
		if sh.must(t, &users, "", "admin", "user", "list"); len(users) != commands+1 {
			t.Errorf("%d users exist, want %d", len(users), commands+1)
		}
	})
}

// oneOf returns the user of the running server, made at the first call.
func oneOf(t *testing.T, accounts *account.Service) account.User {
	t.Helper()
	if user, err := accounts.UserByUsername(t.Context(), "server"); err == nil {
		return user
	}
	user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: "server", Email: "server@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func TestMistakesAreExplained(t *testing.T) {
	sh := shell{[]string{"--data-dir", t.TempDir()}}
	sh.must(t, &admin.User{}, "", "admin", "user", "create", "--username", "ada", "--email", "ada@example.com", "--no-password")
	secretKey := "short-canary"
	for sentence, c := range map[string]struct {
		arguments []string
		input     string
		want      string
	}{
		"no username":                {[]string{"admin", "user", "create", "--email", "x@example.com"}, "", "username"},
		"a username that is taken":   {[]string{"admin", "user", "create", "--username", "Ada", "--email", "x@example.com", "--no-password"}, "", "taken"},
		"a username with a slash":    {[]string{"admin", "user", "create", "--username", "a/b", "--email", "x@example.com", "--no-password"}, "", "letters"},
		"no line on standard input":  {[]string{"admin", "user", "create", "--username", "x", "--email", "x@example.com", "--password-stdin"}, "", "standard input"},
		"a weak password":            {[]string{"admin", "user", "create", "--username", "x", "--email", "x@example.com", "--password-stdin"}, "password123\n", "guess"},
		"a user that does not exist": {[]string{"admin", "key", "create", "--username", "nobody"}, "", "server admin user list"},
		"a key that is too short":    {[]string{"admin", "key", "create", "--username", "ada", "--key", secretKey}, "", "40 characters"},
		"an id that is none":         {[]string{"admin", "key", "revoke", "--username", "ada", "--id", "x"}, "", "--id"},
		"a key of nobody":            {[]string{"admin", "key", "revoke", "--username", "ada", "--id", "7"}, "", "no such key"},
		"an unknown level":           {[]string{"admin", "user", "list", "--log-level", "loud"}, "", "LOG_LEVEL"},
		"no host":                    {[]string{"serve"}, "", "HOST"},
	} {
		output, logged, err := sh.run(t.Context(), c.input, c.arguments...)
		if err == nil || !strings.Contains(fault.Message(err), c.want) {
			t.Errorf("%s: got %q, want %q", sentence, fault.Message(err), c.want)
		}
		if output != "" || strings.Contains(logged+fault.Message(err), secretKey) || strings.Contains(logged+fault.Message(err), "password123") {
			t.Errorf("%s: printed %q, logged %q", sentence, output, logged)
		}
	}
}

func TestEnvironmentSetsConfigurationAndNothingElse(t *testing.T) {
	t.Setenv("DATA_DIR", filepath.Join(t.TempDir(), "from environment"))
	t.Setenv("USERNAME", "mallory")
	t.Setenv("NAME", "Mallory")
	t.Setenv("MYSQL_PORT", "4711")
	root := command()
	create, _, err := root.Find([]string{"admin", "user", "create"})
	if err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(create, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data-dir": os.Getenv("DATA_DIR"), "mysql-port": "4711", "username": "", "name": ""} {
		if got := create.Flag(name).Value.String(); got != want {
			t.Errorf("--%s is %q, want %q", name, got, want)
		}
	}
	serve, _, err := command().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST", "https://wandb.example.com")
	t.Setenv("LICENSE", "canary")
	t.Setenv("SESSION_LENGTH", "not a time")
	if err := fromEnvironment(serve, os.LookupEnv); err == nil || !strings.Contains(err.Error(), "SESSION_LENGTH") {
		t.Errorf("a variable that is no duration: %v", err)
	}
	t.Setenv("SESSION_LENGTH", "2h")
	if err := fromEnvironment(serve, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"host": "https://wandb.example.com", "session-length": "2h0m0s", "license": redact.Mask} {
		if got := serve.Flag(name).Value.String(); got != want {
			t.Errorf("--%s is %q, want %q", name, got, want)
		}
	}
}

var update = flag.Bool("update", false, "write docs/reference/server-commands.md")

// The reference is written from the commands themselves; run `go test ./cmd/server -run Reference -update` after a change.
func TestTheReferenceIsCurrent(t *testing.T) {
	const path = "../../docs/reference/server-commands.md"
	want := reference(command())
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the commands say (%v): run go test ./cmd/server -run Reference -update", path, err)
	}
}

func reference(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Commands of `server`\n\nGenerated from the program; `server help` prints the same.\n\n%s\n\n", root.Long)
	b.WriteString("## Configuration of every command\n\n")
	table(&b, root.PersistentFlags(), true)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.HasAvailableSubCommands() && c.Name() != "help" && c.Name() != "completion" {
			text := c.Long
			if text == "" {
				text = c.Short + "."
			}
			fmt.Fprintf(&b, "## `%s`\n\n%s\n\n", c.CommandPath(), text)
			if c.Example != "" {
				fmt.Fprintf(&b, "```sh\n%s\n```\n\n", strings.ReplaceAll(strings.TrimSpace(c.Example), "\n  ", "\n"))
			}
			table(&b, c.LocalNonPersistentFlags(), c.Name() == "serve" || c.Name() == "probe")
		}
		for _, child := range c.Commands() {
			if child.Name() != "completion" && child.Name() != "help" {
				walk(child)
			}
		}
	}
	walk(root)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func table(b *strings.Builder, flags *pflag.FlagSet, variables bool) {
	var rows []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		row := "| `--" + f.Name + "` | "
		if variables {
			row += "`" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "` | "
		}
		value := f.DefValue
		if value != "" {
			value = "`" + value + "`"
		}
		rows = append(rows, row+value+" | "+f.Usage+" |")
	})
	if len(rows) == 0 {
		return
	}
	if variables {
		b.WriteString("| flag | variable | default | meaning |\n|---|---|---|---|\n")
	} else {
		b.WriteString("| flag | default | meaning |\n|---|---|---|\n")
	}
	b.WriteString(strings.Join(rows, "\n") + "\n\n")
}
