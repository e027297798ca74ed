package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// ChartForm is one of the three ways to say where a chart is.
type ChartForm string

const (
	// FormLocal: a file or folder that the operator has mounted.
	FormLocal ChartForm = "Local"
	// FormOCI: an OCI registry.
	FormOCI ChartForm = "OCI"
	// FormRepo: a Helm repository with an index.
	FormRepo ChartForm = "Repo"
)

// Default keys of a Secret that holds a repository's credentials.
const (
	DefaultUsernameKey = "HELM_USERNAME"
	DefaultPasswordKey = "HELM_PASSWORD"
)

// Chart says where a chart comes from.
type Chart struct {
	Form ChartForm
	// Path of a .tgz, of a text file that holds the base64 of one, or of a folder. Form Local only.
	Path string
	// URL of the registry reference (oci://…) or of the repository.
	URL string
	// Name of the chart in the repository. Form Repo only.
	Name string
	// Version is exact, or a semver range for forms OCI and Repo; empty means the highest stable one.
	Version string
	// RepoName is accepted for compatibility and has no effect.
	RepoName string
	// Username and Password stand in the description itself; CredentialSecret is the better place.
	Username string
	Password redact.Secret
	// CredentialSecret names a Secret beside the custom resource; nil where there is none.
	CredentialSecret *CredentialSecret
	// PlainHTTP allows a registry without TLS. Form OCI only.
	PlainHTTP bool
	// Debug is accepted for compatibility and has no effect.
	Debug bool
}

// CredentialSecret names a Secret and the keys in it. The keys are never empty.
type CredentialSecret struct {
	Name        string
	UsernameKey string
	PasswordKey string
}

// String names the chart for messages, without credentials: "operator-wandb 1.2.3 from https://charts.example.com".
func (c *Chart) String() string {
	switch c.Form {
	case FormLocal:
		return c.Path
	case FormOCI:
		if c.Version == "" {
			return maskURLs(c.URL)
		}
		return maskURLs(c.URL) + " " + c.Version
	default:
		name := c.Name
		if c.Version != "" {
			name += " " + c.Version
		}
		return name + " from " + maskURLs(c.URL)
	}
}

// ParseChart reads a chart description in one of its three forms: Local {path}, OCI {url: oci://…, version},
// Repo {url, name, version}. They are tried in this order and unknown keys are ignored, as resources in the field rely on.
// An empty description gives nil. Anything else is a fault ChartInvalid that names the field and the remedy.
func ParseChart(description map[string]any) (*Chart, error) {
	if len(description) == 0 {
		return nil, nil
	}
	r := chartReader{fields: description}
	chart := &Chart{
		Path:      r.text("path"),
		URL:       r.text("url"),
		Name:      r.text("name"),
		Version:   r.text("version"),
		RepoName:  r.text("repoName"),
		Username:  r.text("username"),
		Password:  redact.Secret(r.text("password")),
		PlainHTTP: r.flag("plainHTTP"),
		Debug:     r.flag("debug"),
	}
	chart.CredentialSecret = r.credentialSecret()
	if r.err != nil {
		return nil, r.err
	}
	if err := chart.settle(); err != nil {
		return nil, err
	}
	return chart, nil
}

// settle decides the form and checks what that form requires.
func (c *Chart) settle() error {
	switch {
	case c.Path != "":
		c.Form = FormLocal
		return nil
	case c.URL == "":
		return invalidChart("chart", "neither chart.path nor chart.url is set",
			"Set chart.url and chart.name for a Helm repository, chart.url: oci://… for a registry, or chart.path for a mounted file.", nil)
	}
	if (c.Username == "") != (c.Password == "") {
		return invalidChart("chart.username", "chart.username and chart.password belong together",
			"Set both, or name a Secret in chart.credentialSecret.", nil)
	}
	parsed, err := url.Parse(c.URL)
	if err != nil {
		// url.Error repeats the URL, which may carry a password.
		var syntax *url.Error
		if errors.As(err, &syntax) {
			err = syntax.Err
		}
		return invalidChart("chart.url", "the text is no URL", "Write it as https://charts.example.com or oci://registry.example.com/charts/name.", err)
	}
	switch parsed.Scheme {
	case "oci":
		c.Form = FormOCI
		return c.checkOCI(parsed)
	case "http", "https":
		c.Form = FormRepo
		return c.checkRepo(parsed)
	default:
		return invalidChart("chart.url", fmt.Sprintf("scheme %q is not known", parsed.Scheme),
			"Write it as https://charts.example.com or oci://registry.example.com/charts/name.", nil)
	}
}

func (c *Chart) checkOCI(parsed *url.URL) error {
	if parsed.Host == "" || strings.Trim(parsed.Path, "/") == "" {
		return invalidChart("chart.url", "the reference has no registry or no repository",
			"Write it as oci://registry.example.com/charts/name.", nil)
	}
	last := parsed.Path[strings.LastIndex(parsed.Path, "/")+1:]
	if c.Version == "" && !strings.ContainsAny(last, ":@") {
		return invalidChart("chart.version", "an OCI chart needs a version",
			"Set chart.version, or end chart.url with a tag or digest.", nil)
	}
	return nil
}

func (c *Chart) checkRepo(parsed *url.URL) error {
	if parsed.Host == "" {
		return invalidChart("chart.url", "the URL has no host", "Write it as https://charts.example.com.", nil)
	}
	if c.Name == "" {
		return invalidChart("chart.name", "a chart from a Helm repository needs a name",
			"Set chart.name, for example operator-wandb; a description in a higher layer replaces the lower one as a whole.", nil)
	}
	return nil
}

// chartReader reads fields of fixed types and keeps the first error.
type chartReader struct {
	fields map[string]any
	prefix string
	err    error
}

func (r *chartReader) text(key string) string {
	value, ok := r.fields[key]
	if !ok || value == nil {
		return ""
	}
	text, ok := value.(string)
	if !ok {
		r.refuse(key, "a string", value)
	}
	return text
}

func (r *chartReader) flag(key string) bool {
	value, ok := r.fields[key]
	if !ok || value == nil {
		return false
	}
	flag, ok := value.(bool)
	if !ok {
		r.refuse(key, "a boolean", value)
	}
	return flag
}

func (r *chartReader) credentialSecret() *CredentialSecret {
	value, ok := r.fields["credentialSecret"]
	if !ok || value == nil {
		return nil
	}
	fields, ok := value.(map[string]any)
	if !ok {
		r.refuse("credentialSecret", "a map", value)
		return nil
	}
	inner := chartReader{fields: fields, prefix: "credentialSecret."}
	secret := &CredentialSecret{
		Name:        inner.text("name"),
		UsernameKey: orDefault(inner.text("usernameKey"), DefaultUsernameKey),
		PasswordKey: orDefault(inner.text("passwordKey"), DefaultPasswordKey),
	}
	if inner.err == nil && secret.Name == "" {
		inner.err = invalidChart("chart.credentialSecret.name", "the Secret has no name",
			"Set it to a Secret in the namespace of the resource.", nil)
	}
	if r.err == nil {
		r.err = inner.err
	}
	return secret
}

func (r *chartReader) refuse(key, want string, value any) {
	if r.err != nil {
		return
	}
	hint := "Write it as " + want + "."
	if _, number := kindOf(value); number && want == "a string" {
		hint = fmt.Sprintf("Put it in quotes: %s: %q.", key, numberText(value))
	}
	r.err = invalidChart("chart."+r.prefix+key, fmt.Sprintf("the value is %s, not %s", describe(value), want), hint, nil)
}

func invalidChart(field, problem, hint string, cause error) error {
	return &fault.Error{
		Reason: v1.ReasonChartInvalid,
		Op:     fmt.Sprintf("read %s: %s", field, problem),
		Hint:   hint,
		Err:    cause,
	}
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func numberText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}
