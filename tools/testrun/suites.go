package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// suite is one kind of test; order in the list is the order of running: what is quick and tells most comes first.
type suite struct {
	name, about string
	run         func(ctx context.Context) (count, error)
}

var suites = []suite{
	{"lint", "analyzers and formatting", lint},
	{"web", "types, lint and tests of the web pages, and the pages built for the programs", web},
	{"unit", "Go tests that need no cluster; a real API server, MySQL, browser and client where they talk to one", unit},
	{"localcluster", "the one-node Kubernetes itself", localCluster},
	{"e2e", "the whole system on a real cluster of its own", endToEnd},
}

func suiteNames() []string {
	names := make([]string, 0, len(suites))
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

const (
	suiteLimit = 40 * time.Minute
	// testLimit is Go's own limit for one package, which prints the stacks of a test that hangs.
	testLimit = "25m"
)

func lint(ctx context.Context) (count, error) {
	files, err := capture(ctx, nil, "git", "ls-files", "-z", "--", "*.go")
	if err != nil {
		return count{}, err
	}
	var sources []string
	for path := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
		if _, err := os.Stat(path); err == nil {
			sources = append(sources, path)
		}
	}
	unformatted, err := capture(ctx, nil, "gofmt", append([]string{"-l"}, sources...)...)
	if err != nil {
		return count{}, err
	}
	if unformatted != "" {
		return count{failed: 1}, fmt.Errorf("not formatted (run: make fmt): %s", strings.Join(strings.Fields(unformatted), " "))
	}
	if err := stream(ctx, nil, "go", "run", "./tools/lint", "./..."); err != nil {
		return count{passed: 1, failed: 1}, err
	}
	return count{passed: 2}, nil
}

func web(ctx context.Context) (count, error) {
	if err := stream(ctx, nil, "make", "--no-print-directory", "web"); err != nil {
		return count{}, err
	}
	if err := stream(ctx, nil, "npm", "--prefix", "web", "run", "check"); err != nil {
		return count{failed: 1}, err
	}
	report := filepath.Join("test", "artifacts", "web.json")
	if err := os.MkdirAll(filepath.Dir(report), 0o755); err != nil {
		return count{}, fmt.Errorf("make folder for artifacts: %w", err)
	}
	absolute, err := filepath.Abs(report)
	if err != nil {
		return count{}, fmt.Errorf("resolve %s: %w", report, err)
	}
	testErr := stream(ctx, nil, "npm", "--prefix", "web", "test", "--", "--reporter=default", "--reporter=json", "--outputFile="+absolute)
	data, err := os.ReadFile(report)
	if err != nil {
		return count{}, fmt.Errorf("read the web tests' report: %w (the run itself: %w)", err, testErr)
	}
	var result struct {
		Passed  int `json:"numPassedTests"`
		Failed  int `json:"numFailedTests"`
		Pending int `json:"numPendingTests"`
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return count{}, fmt.Errorf("parse the web tests' report: %w", err)
	}
	return count{passed: 1 + result.Passed, failed: result.Failed, skipped: result.Pending}, testErr
}

func unit(ctx context.Context) (count, error) {
	if err := installTools(ctx); err != nil {
		return count{}, err
	}
	assets, err := controlPlane(ctx)
	if err != nil {
		return count{}, err
	}
	packages, err := capture(ctx, nil, "go", "list", "./...")
	if err != nil {
		return count{}, err
	}
	var chosen []string
	for path := range strings.FieldsSeq(packages) {
		if !strings.HasSuffix(path, "/test/e2e") {
			chosen = append(chosen, path)
		}
	}
	return goTest(ctx, ".", []string{"KUBEBUILDER_ASSETS=" + assets}, chosen...)
}

func localCluster(ctx context.Context) (count, error) {
	outer, err := goTest(ctx, "tools/localcluster", []string{"LOCALCLUSTER_E2E=1"}, "./...")
	if err != nil {
		return outer, err
	}
	inner, err := goTest(ctx, "tools/localcluster/node", nil, "./...")
	return outer.plus(inner), err
}

func endToEnd(ctx context.Context) (count, error) {
	if err := installTools(ctx); err != nil {
		return count{}, err
	}
	return goTest(ctx, ".", []string{"E2E=1"}, "./test/e2e")
}

// installTools installs what tests run and Debian has, where it is missing: Chromium, the tool that makes it trust a test's
// authority, and the tracer that shows what the server syncs before it answers.
func installTools(ctx context.Context) error {
	var missing []string
	for program, debianPackage := range map[string]string{"chromium": "chromium", "certutil": "libnss3-tools", "strace": "strace"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, debianPackage)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Println("   installing", strings.Join(missing, " "))
	if _, err := capture(ctx, nil, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	_, err := capture(ctx, []string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get",
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
	return err
}

// controlPlane returns the folder with etcd and kube-apiserver, built once by the local cluster's tool.
func controlPlane(ctx context.Context) (string, error) {
	program, err := filepath.Abs(filepath.Join("bin", "localcluster"))
	if err != nil {
		return "", fmt.Errorf("resolve bin: %w", err)
	}
	if err := stream(ctx, nil, "go", "-C", "tools/localcluster", "build", "-o", program, "."); err != nil {
		return "", err
	}
	output, err := capture(ctx, nil, program, "assets")
	return strings.TrimSpace(output), err
}

// goTest runs Go tests, shows the output of those that fail, and counts every test and subtest.
func goTest(ctx context.Context, module string, env []string, packages ...string) (count, error) {
	ctx, cancel := context.WithTimeout(ctx, suiteLimit)
	defer cancel()
	arguments := append([]string{"-C", module, "test", "-json", "-count=1", "-timeout=" + testLimit}, packages...)
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Env = append(os.Environ(), env...)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return count{}, fmt.Errorf("open pipe: %w", err)
	}
	if err := command.Start(); err != nil {
		return count{}, fmt.Errorf("start go test: %w", err)
	}
	result, readErr := tally(output, os.Stdout)
	if err := command.Wait(); err != nil {
		result.failed = max(result.failed, 1)
		return result, fmt.Errorf("go test in %s: %w", module, err)
	}
	return result, readErr
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// tally counts tests in a stream of events. It prints one line per package, and the whole output of every test that fails.
func tally(events io.Reader, out io.Writer) (count, error) {
	var total count
	buffered := make(map[[2]string]*bytes.Buffer)
	scanner := bufio.NewScanner(events)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			fmt.Fprintln(out, scanner.Text()) // a line of the toolchain's own
			continue
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "output":
			if buffered[key] == nil {
				buffered[key] = new(bytes.Buffer)
			}
			buffered[key].WriteString(e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				total.failed += showUnended(buffered, e.Package, out)
			}
			total = total.plus(ended(e, buffered[key], out))
			delete(buffered, key)
		}
	}
	if err := scanner.Err(); err != nil {
		return total, fmt.Errorf("read test events: %w", err)
	}
	return total, nil
}

// maxStacks bounds what is shown of a test that never ended.
const maxStacks = 64 << 10

// showUnended prints the outputs of a package's tests that have no end, and returns how many there are. Go's own limit ends a
// package without a word on the tests that it ends, and what they print last are the stacks that tell where they hung.
func showUnended(buffered map[[2]string]*bytes.Buffer, name string, out io.Writer) int {
	var tests []string
	for key := range buffered {
		if key[0] == name && key[1] != "" {
			tests = append(tests, key[1])
		}
	}
	slices.Sort(tests)
	for _, test := range tests {
		output := buffered[[2]string{name, test}].Bytes()
		fmt.Fprintf(out, "%s\n   test %s never ended\n", output[:min(len(output), maxStacks)], test)
		delete(buffered, [2]string{name, test})
	}
	return len(tests)
}

func ended(e event, output *bytes.Buffer, out io.Writer) count {
	if e.Action == "fail" && output != nil {
		fmt.Fprint(out, output.String())
	}
	if e.Test == "" {
		if e.Action != "skip" {
			fmt.Fprintf(out, "   %-4s %s (%.1f s)\n", e.Action, e.Package, e.Elapsed)
		}
		return count{}
	}
	switch e.Action {
	case "pass":
		return count{passed: 1}
	case "skip":
		fmt.Fprint(out, output)
		return count{skipped: 1}
	default:
		return count{failed: 1}
	}
}

func capture(ctx context.Context, env []string, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, suiteLimit)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append(os.Environ(), env...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	return string(output), nil
}

func stream(ctx context.Context, env []string, name string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(ctx, suiteLimit)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append(os.Environ(), env...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	return nil
}
