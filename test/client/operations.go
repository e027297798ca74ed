package client

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

//go:embed operations.py
var operationsProgram string

// Operation is one text that the installed client may send.
type Operation struct {
	Name string
	// Source is the file of the client that holds it.
	Source string
	// Text is empty where Assembled is set.
	Text string
	// Assembled: the client puts the text together from parts that are not known.
	Assembled bool
}

// Input is one type of the variables that the installed client may send.
type Input struct {
	Name   string
	Source string
	Fields []string
}

// Operations reads the client's sources and its core, a binary, for all the GraphQL that they hold.
func (r Release) Operations(t testing.TB) ([]Operation, []Input) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.Venv(t), "bin", "python"), "-c", operationsProgram)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "WANDB_ERROR_REPORTING=false", "HOME="+cmd.Dir)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("read the client's operations: %v: %s", err, errors.String())
	}
	var found struct {
		Operations []Operation
		Inputs     []Input
	}
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatalf("read the client's operations: %v", err)
	}
	return append(found.Operations, coreOperations(r.readCore(t))...), found.Inputs
}

// coreSource is where the client's core is in its package.
const coreSource = "bin/wandb-core"

func (r Release) readCore(t testing.TB) []byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(r.Venv(t), "lib", "python*", "site-packages", "wandb", coreSource))
	if err != nil || len(found) != 1 {
		t.Fatalf("find the client's core: %q, %v", found, err)
	}
	core, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatalf("read the client's core: %v", err)
	}
	return core
}

var (
	coreOperation = regexp.MustCompile(`\n(?:query|mutation) ([A-Za-z]\w*) ?[({]`)
	coreFragment  = regexp.MustCompile(`^\s*fragment \w+ on \w+ \{`)
)

// coreOperations finds the texts in the binary, where they stand next to other things without a mark between.
func coreOperations(core []byte) []Operation {
	var found []Operation
	for _, at := range coreOperation.FindAllSubmatchIndex(core, -1) {
		end := at[0] + braced(core[at[0]:])
		for end > at[0] && coreFragment.Match(core[end:min(end+200, len(core))]) {
			end += braced(core[end:])
		}
		found = append(found, Operation{
			Name: string(core[at[2]:at[3]]), Source: coreSource, Text: string(core[at[0]:end]),
		})
	}
	return found
}

// braced is where the selection that begins with the first brace outside of parentheses ends; 0 for nowhere.
func braced(text []byte) int {
	const longest = 64 << 10
	braces, parentheses := 0, 0
	for i, c := range text[:min(len(text), longest)] {
		switch c {
		case '(':
			parentheses++
		case ')':
			parentheses--
		case '{':
			braces++
		case '}':
			braces--
			if braces == 0 && parentheses == 0 {
				return endOfLine(text, i+1)
			}
		}
	}
	return 0
}

func endOfLine(text []byte, at int) int {
	if at < len(text) && text[at] == '\n' {
		at++
	}
	return at
}

// String names the operation in a test's message.
func (o Operation) String() string { return fmt.Sprintf("%s (%s)", o.Name, o.Source) }
