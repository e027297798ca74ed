// Package report is what a probe says about an application: checks with their results, as one line of JSON at the end of
// a pod's log. The program that probes and the operator that reads share it, and nothing else.
package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// Kind marks the line among other lines of JSON in the same log.
	Kind = "kubewandb.io/probe"
	// Version of the format. A reader takes any report of the same version, whatever members it does not know.
	Version = 1
	// MaxSize bounds the line, and how much of a log's end is looked at, in bytes.
	MaxSize = 64 << 10
	// MaxChecks is as many checks as status can hold.
	MaxChecks = 32

	maxName    = 63
	maxMessage = 512
)

// Path is the way that a check takes to the application.
type Path string

const (
	// Inside: through the Service, from a pod of the same namespace.
	Inside Path = "inside"
	// Outside: through the external URL, with its DNS, certificate and proxies.
	Outside Path = "outside"
)

// Result of a check.
type Result string

const (
	// Passed: the application does what the check asks.
	Passed Result = "passed"
	// Failed: it does not, or did not answer in time.
	Failed Result = "failed"
	// Skipped: the check could not be made; the message says what it lacks.
	Skipped Result = "skipped"
)

// Check is one thing that was looked at. Name and path together identify it from one release to the next.
type Check struct {
	// Name is a word of lower case: "sign-in".
	Name   string
	Path   Path
	Result Result
	// Message says what was found; empty where there is nothing to say. It holds no credential.
	Message string
	// Duration is how long the check took, in whole milliseconds.
	Duration time.Duration
}

// Report is what one probe found.
type Report struct {
	Checks []Check
}

type document struct {
	Kind    string  `json:"kind"`
	Version int     `json:"version"`
	Checks  []entry `json:"checks"`
}

type entry struct {
	Name     string `json:"name"`
	Path     Path   `json:"path"`
	Result   Result `json:"result"`
	Message  string `json:"message,omitempty"`
	Duration int64  `json:"durationMs"`
}

// ErrNone says that a log holds no report.
var ErrNone = errors.New("the log holds no report of a probe")

// Line returns the report as one line of at most MaxSize bytes, with its newline. Messages are shortened, and checks
// beyond MaxChecks left out.
func (r Report) Line() ([]byte, error) {
	document := document{Kind: Kind, Version: Version, Checks: []entry{}}
	for _, check := range r.Checks[:min(len(r.Checks), MaxChecks)] {
		check = check.tidy()
		document.Checks = append(document.Checks, entry{
			Name: check.Name, Path: check.Path, Result: check.Result, Message: check.Message, Duration: check.Duration.Milliseconds(),
		})
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("encode the report of a probe: %w", err)
	}
	return line.Bytes(), nil
}

// Parse finds the last report in a log, among whatever other lines it holds: ErrNone where there is none, another error
// where the last one cannot be used. Only the last MaxSize bytes are looked at.
func Parse(log []byte) (Report, error) {
	if len(log) > MaxSize {
		log = log[len(log)-MaxSize:]
	}
	for len(log) > 0 {
		line := log
		if at := bytes.LastIndexByte(log, '\n'); at >= 0 {
			line, log = log[at+1:], log[:at]
		} else {
			log = nil
		}
		// A runtime may put a time stamp before the line.
		begin := bytes.IndexByte(line, '{')
		if begin < 0 || !bytes.Contains(line, []byte(Kind)) {
			continue
		}
		var found document
		if err := json.Unmarshal(line[begin:], &found); err != nil || found.Kind != Kind {
			continue // a line of the application that only mentions the kind, or half a line
		}
		return found.report()
	}
	return Report{}, ErrNone
}

func (d document) report() (Report, error) {
	if d.Version != Version {
		return Report{}, fmt.Errorf("the report of the probe has version %d, and only %d can be read", d.Version, Version)
	}
	if len(d.Checks) > MaxChecks {
		return Report{}, fmt.Errorf("the report of the probe has %d checks, and at most %d can be read", len(d.Checks), MaxChecks)
	}
	var read Report
	for i, one := range d.Checks {
		check := Check{
			Name: one.Name, Path: one.Path, Result: one.Result, Message: one.Message,
			Duration: time.Duration(min(max(one.Duration, 0), int64(time.Hour/time.Millisecond))) * time.Millisecond,
		}
		if err := check.validate(); err != nil {
			return Report{}, fmt.Errorf("check %d in the report of the probe: %w", i+1, err)
		}
		read.Checks = append(read.Checks, check)
	}
	return Join(read), nil
}

func (c Check) validate() error {
	switch {
	case !isName(c.Name):
		return fmt.Errorf("its name %.80q is not one of up to %d lower-case letters, digits, dots and dashes", c.Name, maxName)
	case c.Path != Inside && c.Path != Outside:
		return fmt.Errorf("its path %.80q is neither inside nor outside", string(c.Path))
	case c.Result != Passed && c.Result != Failed && c.Result != Skipped:
		return fmt.Errorf("its result %.80q is none of passed, failed and skipped", string(c.Result))
	}
	return nil
}

func isName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// tidy makes the message one short line.
func (c Check) tidy() Check {
	message := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, c.Message)
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		cut := maxMessage - len("…")
		for !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut] + "…"
	}
	c.Message = message
	c.Duration = c.Duration.Truncate(time.Millisecond)
	return c
}

// Join makes one report of several, with at most MaxChecks checks. Of checks with the same name and path the worst stays.
func Join(reports ...Report) Report {
	type identity struct {
		name string
		path Path
	}
	var joined Report
	places := map[identity]int{}
	for _, one := range reports {
		for _, check := range one.Checks {
			check = check.tidy()
			key := identity{check.Name, check.Path}
			place, known := places[key]
			switch {
			case known && severity(check.Result) > severity(joined.Checks[place].Result):
				joined.Checks[place] = check
			case !known && len(joined.Checks) < MaxChecks:
				places[key] = len(joined.Checks)
				joined.Checks = append(joined.Checks, check)
			}
		}
	}
	return joined
}

func severity(result Result) int {
	switch result {
	case Failed:
		return 2
	case Passed:
		return 1
	default:
		return 0
	}
}

// Name makes the name of a check of any text, such as the name of an object.
func Name(text string) string {
	name := strings.Map(func(r rune) rune {
		if isName(string(r)) {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	return cmp.Or(name[:min(len(name), maxName)], "check")
}

// Failing returns the checks that failed.
func (r Report) Failing() []Check {
	var failing []Check
	for _, check := range r.Checks {
		if check.Result == Failed {
			failing = append(failing, check)
		}
	}
	return failing
}
