// Package rules holds the repository to its own rules: what a reader may rely on without checking it.
package rules

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module           = "github.com/kubewandb/kubewandb"
	productionBudget = 500
	testBudget       = 800
	mainBudget       = 150
)

// source is one tracked file of the repository.
type source struct {
	path string // relative to the root, with slashes
	data []byte
}

func (s source) isGo() bool { return strings.HasSuffix(s.path, ".go") }
func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.Contains(s.path, ".test.ts")
}
func (s source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

var generatedMark = regexp.MustCompile(`(?m)^(//|#) Code generated .* DO NOT EDIT\.$`)

func (s source) isGenerated() bool {
	head := s.data[:min(len(s.data), 2048)]
	return generatedMark.Match(head) || strings.Contains(s.path, "/testdata/")
}

func root(t *testing.T) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatalf("find the repository: %v (these rules read the files that git tracks)", err)
	}
	return strings.TrimSpace(string(output))
}

func sources(t *testing.T) []source {
	t.Helper()
	top := root(t)
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = top
	output, err := list.Output()
	if err != nil {
		t.Fatalf("list tracked files: %v", err)
	}
	var files []source
	for path := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(top, path))
		if os.IsNotExist(err) {
			continue // deleted but not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, source{path: path, data: data})
	}
	if len(files) == 0 {
		t.Fatal("git lists no files")
	}
	return files
}

func TestFilesStayWithinTheirBudget(t *testing.T) {
	for _, file := range sources(t) {
		if extension := filepath.Ext(file.path); !slices.Contains([]string{".go", ".ts", ".tsx"}, extension) || file.isGenerated() {
			continue
		}
		budget := productionBudget
		switch {
		case file.isTest():
			budget = testBudget
		case strings.HasPrefix(file.path, "cmd/") && strings.HasSuffix(file.path, "/main.go"):
			budget = mainBudget
		}
		if lines := bytes.Count(file.data, []byte("\n")); lines > budget {
			t.Errorf("%s has %d lines, the budget is %d: it holds more than one idea, give each a file", file.path, lines, budget)
		}
	}
}

func TestEveryPackageHasOneDoc(t *testing.T) {
	docs := make(map[string][]string)
	for _, file := range sources(t) {
		if !file.isGo() || strings.Contains(file.path, "/testdata/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.path, file.data, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("parse %s: %v", file.path, err)
			continue
		}
		name := file.dir()
		if file.isTest() && strings.HasSuffix(parsed.Name.Name, "_test") {
			continue
		}
		if _, seen := docs[name]; !seen {
			docs[name] = nil
		}
		if parsed.Doc != nil {
			docs[name] = append(docs[name], file.path)
		}
	}
	for dir, files := range docs {
		if len(files) != 1 {
			t.Errorf("package %s has %d package comments %v, want exactly one that says what the package is for", dir, len(files), files)
		}
	}
}

func TestPackagesAreNounsOfTheField(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "base", "lib", "shared"}
	for _, file := range sources(t) {
		if file.isGo() && slices.Contains(forbidden, filepath.Base(file.dir())) {
			t.Errorf("%s: a folder called %q says nothing about what it holds; name it after the thing", file.path, filepath.Base(file.dir()))
		}
	}
}

// direction forbids imports, with the reason that a reader of the failure needs.
type direction struct {
	from   string // folder prefix
	to     string // import path prefix
	except []string
	why    string
}

var directions = []direction{
	{from: "", to: "helm.sh/helm", except: []string{"internal/helm", "test/", "tools/"},
		why: "internal/helm is the only package that knows the Helm SDK; add what you need to its Client"},
	{from: "api/", to: module, why: "api/v1 is what others import to talk to us: it depends on apimachinery alone"},
	{from: "api/", to: "sigs.k8s.io/controller-runtime", why: "api/v1 depends on apimachinery alone"},
	{from: "internal/spec", to: module + "/internal/operator", why: "the specification is pure and knows no program"},
	{from: "internal/spec", to: "k8s.io/client-go", why: "resolving layers is pure: gather in operator, decide in spec"},
	{from: "internal/spec", to: "net/http", why: "resolving layers is pure: gather in operator, decide in spec"},
	{from: "internal/license", to: "k8s.io/", why: "licences are pure: vendor and customer both verify with them"},
	{from: "internal/license", to: "net/http", why: "licences are verified offline"},
	{from: "internal/catalog", to: "k8s.io/client-go", why: "the catalog is the format that vendor and customer share, without either's IO"},
	{from: "internal/release", to: module + "/internal/operator", why: "imports point from operator to release"},
	{from: "internal/channel", to: module + "/internal/operator", why: "imports point from operator to channel"},
	{from: "internal/channel", to: module + "/internal/deploy", why: "customer and vendor share internal/catalog and nothing else"},
	{from: "internal/deploy", to: module + "/internal/channel", why: "customer and vendor share internal/catalog and nothing else"},
	{from: "internal/deploy", to: "k8s.io/client-go", why: "the deploy server runs anywhere: it knows no cluster"},
	{from: "internal/server", to: "k8s.io/", why: "W&B Server runs alone on a laptop: it knows no cluster"},
	{from: "internal/probe/report", to: "k8s.io/", why: "the server prints reports, and knows no cluster"},
	{from: "internal/probe", to: "k8s.io/client-go", why: "judging a report is pure: helm runs the probe"},
	{from: "internal/server", to: module + "/internal/operator", why: "programs do not import each other"},
	{from: "internal/server", to: module + "/internal/console", why: "programs do not import each other"},
	{from: "internal/console", to: module + "/internal/server", except: []string{"_test.go"}, why: "programs do not import each other; the console works while the application is down"},
	{from: "internal/console", to: module + "/internal/operator", why: "programs do not import each other"},
	{from: "internal/kubectl", to: module + "/internal/operator", why: "programs do not import each other; what both need lives in request, plan and spec"},
	{from: "internal/kubectl", to: module + "/internal/console", why: "programs do not import each other"},
	{from: "internal/operator", to: module + "/internal/kubectl", why: "programs do not import each other"},
	{from: "internal/", to: module + "/cmd", why: "imports point from cmd inwards"},
	{from: "internal/", to: module + "/test", except: []string{"_test.go"}, why: "production code does not need tests"},
	{from: "cmd/", to: "testing", except: []string{"_test.go"}, why: "production code does not need tests"},
}

func TestImportsPointOneWay(t *testing.T) {
	for _, file := range sources(t) {
		if !file.isGo() || strings.Contains(file.path, "/testdata/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.path, file.data, parser.ImportsOnly)
		if err != nil {
			t.Errorf("parse %s: %v", file.path, err)
			continue
		}
		for _, spec := range parsed.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			for _, rule := range directions {
				if breaks(rule, file.path, path) {
					t.Errorf("%s imports %s: %s", file.path, path, rule.why)
				}
			}
		}
	}
}

func breaks(rule direction, file, imported string) bool {
	if !strings.HasPrefix(file, rule.from) || !strings.HasPrefix(imported, rule.to) {
		return false
	}
	return !slices.ContainsFunc(rule.except, func(part string) bool {
		return strings.HasPrefix(file, part) || strings.HasSuffix(file, part)
	})
}

func TestNothingIsLeftForLater(t *testing.T) {
	mark := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, file := range sources(t) {
		if strings.HasPrefix(file.path, "test/rules/") || bytes.IndexByte(file.data, 0) >= 0 || strings.HasSuffix(file.path, "package-lock.json") {
			continue
		}
		scanner := bufio.NewScanner(bytes.NewReader(file.data))
		scanner.Buffer(nil, 16<<20)
		for line := 1; scanner.Scan(); line++ {
			if found := mark.FindString(scanner.Text()); found != "" {
				t.Errorf("%s:%d says %s: do it, or open an issue", file.path, line, found)
			}
		}
	}
}

func TestEveryMakeTargetIsExplained(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "make", "-s", "-C", root(t), "help").Output()
	if err != nil {
		t.Fatalf("make help: %v", err)
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.+)$`).FindAllStringSubmatch(string(makefile), -1)
	if len(phony) == 0 {
		t.Fatal("the Makefile declares no .PHONY target")
	}
	for _, line := range phony {
		for target := range strings.FieldsSeq(line[1]) {
			if !regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(target) + `\s+\S`).Match(output) {
				t.Errorf("make help does not explain %q", target)
			}
		}
	}
}

func TestDocumentedCommandsAndPathsExist(t *testing.T) {
	top := root(t)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?m)(?:^|`|\\s\\$ )make ([a-z][a-z0-9-]*)")
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	for _, file := range sources(t) {
		if filepath.Ext(file.path) != ".md" || strings.Contains(file.path, "/testdata/") {
			continue
		}
		for _, match := range command.FindAllStringSubmatch(string(file.data), -1) {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(match[1]) + `:`).Match(makefile) {
				t.Errorf("%s tells the reader to run `make %s`, which the Makefile does not have", file.path, match[1])
			}
		}
		for _, match := range link.FindAllStringSubmatch(string(file.data), -1) {
			target := filepath.Join(top, filepath.Dir(file.path), match[1])
			if strings.HasPrefix(match[1], "/") {
				target = filepath.Join(top, match[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", file.path, match[1])
			}
		}
	}
}

func TestNoAbsolutePathOfAMachine(t *testing.T) {
	personal := regexp.MustCompile(`/(home|Users)/[a-z]+/|/root/\.|/work/(main|shared)`)
	for _, file := range sources(t) {
		if strings.HasPrefix(file.path, "test/rules/") || bytes.IndexByte(file.data, 0) >= 0 {
			continue
		}
		if found := personal.Find(file.data); found != nil {
			t.Errorf("%s holds %q: paths of one machine don't belong in a repository", file.path, found)
		}
	}
}

func TestEveryTestAssertsSomething(t *testing.T) {
	for _, file := range sources(t) {
		if !file.isGo() || !file.isTest() {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.path, file.data, 0)
		if err != nil {
			t.Errorf("parse %s: %v", file.path, err)
			continue
		}
		for _, declaration := range parsed.Decls {
			function, isFunction := declaration.(*ast.FuncDecl)
			if !isFunction || function.Recv != nil || !strings.HasPrefix(function.Name.Name, "Test") || function.Name.Name == "TestMain" {
				continue
			}
			if !mentionsTesting(function) {
				t.Errorf("%s: %s never uses its *testing.T: it can't fail", file.path, function.Name.Name)
			}
		}
	}
}

// mentionsTesting tells whether the test's *testing.T is used in its body at all.
func mentionsTesting(function *ast.FuncDecl) bool {
	parameters := function.Type.Params.List
	if len(parameters) == 0 || len(parameters[0].Names) == 0 {
		return false
	}
	name, used := parameters[0].Names[0].Name, false
	ast.Inspect(function.Body, func(node ast.Node) bool {
		if identifier, isIdentifier := node.(*ast.Ident); isIdentifier && identifier.Name == name {
			used = true
		}
		return !used
	})
	return used
}

func TestModulesStayApart(t *testing.T) {
	top := root(t)
	product, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"k8s.io/kubernetes ", "go.etcd.io/etcd/server", "github.com/coredns/coredns"} {
		if strings.Contains(string(product), foreign) {
			t.Errorf("go.mod requires %s: what the local cluster is built from must never reach the product", strings.TrimSpace(foreign))
		}
	}
	err = filepath.WalkDir(filepath.Join(top, "tools"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "go.work" {
			t.Errorf("%s: a workspace file would join the modules again", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
