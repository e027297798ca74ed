package catalog

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// ReasonReleaseInvalid is the reason of the faults that Validate returns.
const ReasonReleaseInvalid = "ReleaseInvalid"

var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	chartForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)
)

// Validate tells whether the release may be published. It is stricter than Parse, which also has to read what others
// published: the name must fit a command line and a URL, and the chart must be pinned to an exact semantic version.
func (r *Release) Validate() error {
	if err := r.check(); err != nil {
		return &fault.Error{Reason: ReasonReleaseInvalid, Op: "check release " + r.Name(), Err: err, Hint: "Correct the release and publish it again."}
	}
	return nil
}

func (r *Release) check() error {
	if !nameForm.MatchString(r.Name()) {
		return errors.New("the name must be 1 to 128 letters, digits, dots, underscores, plus signs or dashes")
	}
	if err := checkChartForm(r.Chart); err != nil {
		return err
	}
	if path, _ := r.Chart["path"].(string); path != "" {
		return errors.New("chart.path names a file of the customer's operator and cannot be published")
	}
	for _, key := range []string{"username", "password"} {
		if text, _ := r.Chart[key].(string); text != "" {
			return fmt.Errorf("chart.%s would hand a credential to every customer; use credentialSecret", key)
		}
	}
	location, _ := r.Chart["url"].(string)
	if err := checkLocation(location); err != nil {
		return err
	}
	if name, _ := r.Chart["name"].(string); !strings.HasPrefix(location, "oci://") && !chartForm.MatchString(name) {
		return errors.New("chart.name must be a chart's name: lower-case letters, digits, dots and dashes")
	}
	version, _ := r.Chart["version"].(string)
	if _, err := semver.StrictNewVersion(version); err != nil {
		return fmt.Errorf("chart.version %q is not an exact semantic version such as 1.2.3", version)
	}
	document, err := r.Canonical()
	if err != nil {
		return err
	}
	if _, err := Parse(document); err != nil {
		return err
	}
	return nil
}

func checkLocation(location string) error {
	parsed, err := url.Parse(location)
	switch {
	case err != nil || parsed.Host == "":
		return errors.New("chart.url is not an absolute URL")
	case parsed.Scheme != "https" && parsed.Scheme != "http" && parsed.Scheme != "oci":
		return fmt.Errorf("chart.url has the scheme %q, want https, http or oci", parsed.Scheme)
	case parsed.User != nil:
		return errors.New("chart.url holds a user name; use credentialSecret")
	}
	return nil
}

// checkChartForm holds what every reader relies on: the members that select a chart are text, and they select one.
// A version such as 0.14 without quotes arrives as a number, which would otherwise lose digits silently.
func checkChartForm(chart map[string]any) error {
	if len(chart) == 0 {
		return errors.New("chart is missing")
	}
	for _, key := range []string{"path", "url", "name", "version", "repoName", "username", "password"} {
		switch value := chart[key].(type) {
		case nil, string:
		default:
			return fmt.Errorf("chart.%s is %s, want a string", key, kindOf(value))
		}
	}
	path, _ := chart["path"].(string)
	location, _ := chart["url"].(string)
	name, _ := chart["name"].(string)
	switch {
	case path != "":
		return nil
	case location == "":
		return errors.New("chart.url is missing")
	case !strings.HasPrefix(location, "oci://") && name == "":
		return errors.New("chart.name is missing")
	}
	return nil
}
