package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/version"
)

// cli holds the flags that every administrating command has.
type cli struct {
	server    string
	tokenFile string
	caFile    string
	by        string
	output    string
}

// maxFileBytes bounds what is read from a file; the server has narrower bounds of its own.
const maxFileBytes = 32 << 20

// client adds the flags to command and to those below it.
func (c *cli) client(command *cobra.Command) *cobra.Command {
	flags := command.PersistentFlags()
	flags.StringVar(&c.server, "server", "", "base URL of the deploy server (env DEPLOY_URL)")
	flags.StringVar(&c.tokenFile, "token-file", "", "file with the admin token (env DEPLOY_TOKEN_FILE; the token itself: env DEPLOY_TOKEN)")
	flags.StringVar(&c.caFile, "ca-file", "", "PEM file of certificate authorities to trust beside the system's (env CA_FILE)")
	flags.StringVar(&c.by, "by", "", "who is doing this, for the history (env DEPLOY_BY; default: your user name)")
	for flag, name := range map[string]string{"server": "DEPLOY_URL", "token-file": "DEPLOY_TOKEN_FILE", "ca-file": "CA_FILE", "by": "DEPLOY_BY"} {
		flags.Lookup(flag).Annotations = map[string][]string{environmentName: {name}}
	}
	return command
}

// formats adds -o with the given formats, of which the first is the default.
func (c *cli) formats(flags *pflag.FlagSet, formats ...string) {
	flags.VarP(&choice{value: &c.output, of: formats}, "output", "o", strings.Join(formats, " or "))
}

// choice is a flag with a few values. Each command sets its own default when it is run, since they share the variable.
type choice struct {
	value  *string
	of     []string
	chosen bool
}

func (c *choice) String() string {
	if c.value == nil || !c.chosen {
		return ""
	}
	return *c.value
}
func (c *choice) Type() string { return "format" }
func (c *choice) Set(text string) error {
	for _, each := range c.of {
		if each == text {
			*c.value, c.chosen = text, true
			return nil
		}
	}
	return fmt.Errorf("it is none of: %s", strings.Join(c.of, ", "))
}

func (c *cli) connect() (*admin.Client, error) {
	options := admin.ClientOptions{Server: c.server, UserAgent: version.UserAgent("deploy-server")}
	switch {
	case c.server == "":
		return nil, &fault.Error{Reason: "ServerMissing", Op: "find deploy server", Err: errors.New("no server is given"), Hint: "Give its URL with --server or DEPLOY_URL."}
	case c.tokenFile != "":
		token, err := readFile(c.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read admin token: %w", err)
		}
		options.Token = redact.Secret(strings.TrimSpace(string(token)))
	default:
		options.Token = redact.Secret(os.Getenv("DEPLOY_TOKEN"))
	}
	if c.caFile != "" {
		authorities, err := readFile(c.caFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authority: %w", err)
		}
		options.Authorities = authorities
	}
	return admin.NewClient(options)
}

// actor is who the history names.
func (c *cli) actor() string {
	if c.by != "" {
		return c.by
	}
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return os.Getenv("USER")
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return content, err
}

// show writes document as JSON, or as the table that rows describes: its first row is the heading.
func (c *cli) show(out io.Writer, document any, rows [][]string) error {
	if c.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(document)
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				_, _ = io.WriteString(table, "\t")
			}
			_, _ = io.WriteString(table, cmp.Or(cell, "-"))
		}
		_, _ = io.WriteString(table, "\n")
	}
	return table.Flush()
}

// say writes a line for a person; where JSON was asked for it is left out.
func (c *cli) say(out io.Writer, format string, args ...any) error {
	if c.output == "json" {
		return nil
	}
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// ago is a short age such as "12s", "5m" or "3d".
func ago(t, now time.Time) string {
	age := max(now.Sub(t), 0)
	switch {
	case age < time.Minute:
		return fmt.Sprintf("%ds", int(age.Seconds()))
	case age < time.Hour:
		return fmt.Sprintf("%dm", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", int(age.Hours()))
	default:
		return fmt.Sprintf("%dd", int(age.Hours()/24))
	}
}
