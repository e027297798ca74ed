package server

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// syscalls are those that change files or answer a request, for strace. Others that could write to a file are among them so
// that their use is noticed.
const syscalls = "open,openat,openat2,creat,close,dup,dup2,dup3,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendfile,splice," +
	"copy_file_range,ftruncate,truncate,fallocate,lseek,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,symlinkat," +
	"unlink,unlinkat,rmdir,mkdir,mkdirat,chdir,fchdir,chroot"

// How many bytes of what is written a trace holds.
const (
	headOnly   = "16" // tells what an answer is
	everything = "16777216"
)

// underStrace is a command line that writes what the program behind it asks of the system to a file: bytes in hex, and beside
// each descriptor what it stands for.
func underStrace(path, bytes string) []string {
	return []string{"strace", "--seccomp-bpf", "-f", "-yy", "-ttt", "-T", "-qq", "-e", "signal=none", "-xx", "-s", bytes, "-o", path, "-e", "trace=" + syscalls}
}

// systemCall is a call of the system. Its arguments are as strace writes them.
type systemCall struct {
	name      string
	arguments string
	result    int64 // -1 for failed
}

// moment is the begin or the end of a call, in the order in which strace saw them.
type moment struct {
	// at is in seconds since 1970: of a begin never too late, of an end never too early. It is 0 where the trace has no times.
	at    float64
	call  *systemCall
	ended bool
}

// readTrace reads what strace wrote, a line at a time: a trace with all bytes does not fit into memory. Of a call that ends
// later the result is known with its end.
func readTrace(trace io.Reader) iter.Seq2[moment, error] {
	return func(yield func(moment, error) bool) {
		open := map[string]*systemCall{} // of each thread
		lines := bufio.NewScanner(trace)
		lines.Buffer(nil, 128<<20)
		for lines.Scan() {
			found, err := readLine(lines.Text(), open)
			if err != nil {
				yield(moment{}, err)
				return
			}
			for _, m := range found {
				if !yield(m, nil) {
					return
				}
			}
		}
		if err := lines.Err(); err != nil {
			yield(moment{}, err)
		}
	}
}

// readLine cuts by hand what is megabytes long and would keep a regular expression busy.
func readLine(line string, open map[string]*systemCall) ([]moment, error) {
	thread, rest, found := strings.Cut(line, " ")
	if _, err := strconv.Atoi(thread); err != nil || !found {
		return nil, fmt.Errorf("%.200q is no line of a trace", line)
	}
	rest = strings.TrimLeft(rest, " ")
	time, after, _ := strings.Cut(rest, " ")
	at, err := strconv.ParseFloat(time, 64)
	if err == nil {
		rest = after
	}
	if call, unfinished := strings.CutSuffix(rest, " <unfinished ...>"); unfinished {
		name, arguments, _ := strings.Cut(call, "(")
		open[thread] = &systemCall{name: name, arguments: strings.TrimSuffix(arguments, ","), result: -1}
		return []moment{{at, open[thread], false}}, nil
	}
	before, result, whole := cutResult(rest)
	if name, resumed := strings.CutPrefix(before, "<... "); resumed {
		name, arguments, _ := strings.Cut(name, " resumed>")
		call := open[thread]
		if call == nil || call.name != name {
			return nil, fmt.Errorf("%.200q continues nothing", line)
		}
		delete(open, thread)
		call.arguments += arguments
		call.result, _ = resultOf(result)
		return []moment{{at, call, true}}, nil
	}
	if name, arguments, found := strings.Cut(before, "("); whole && found {
		call := &systemCall{name: name, arguments: arguments}
		var took float64
		call.result, took = resultOf(result)
		return []moment{{at, call, false}, {at + took, call, true}}, nil
	}
	if !strings.HasPrefix(rest, "+++ ") && !strings.HasSuffix(rest, "<detached ...>") {
		return nil, fmt.Errorf("%.200q is no call", rest)
	}
	return nil, nil
}

// cutResult cuts a call off from what it returned: close(3)       = 0 <0.000012>.
func cutResult(text string) (call, result string, found bool) {
	i := strings.LastIndex(text, " = ")
	if i < 0 {
		return text, "", false
	}
	call, found = strings.CutSuffix(strings.TrimRight(text[:i], " "), ")")
	return call, text[i+len(" = "):], found
}

// traceIn reads the trace in a file.
func traceIn(t *testing.T, path string) iter.Seq[moment] {
	return func(yield func(moment) bool) {
		file, err := os.Open(path)
		must(t, err)
		defer file.Close()
		traceOf(t, file)(yield)
	}
}

func traceOf(t *testing.T, trace io.Reader) iter.Seq[moment] {
	return func(yield func(moment) bool) {
		for m, err := range readTrace(trace) {
			must(t, err)
			if !yield(m) {
				return
			}
		}
	}
}

// inOrder merges the traces of several programs by their times, and tells of each moment whose it is. Each keeps its order.
func inOrder(traces ...iter.Seq[moment]) iter.Seq2[int, moment] {
	return func(yield func(int, moment) bool) {
		next := make([]func() (moment, bool), len(traces))
		heads := map[int]moment{}
		for i, trace := range traces {
			pull, stop := iter.Pull(trace)
			defer stop()
			next[i] = pull
			if m, ok := pull(); ok {
				heads[i] = m
			}
		}
		for len(heads) > 0 {
			first := slices.MinFunc(slices.Sorted(maps.Keys(heads)), func(a, b int) int { return cmp.Compare(heads[a].at, heads[b].at) })
			if !yield(first, heads[first]) {
				return
			}
			if m, ok := next[first](); ok {
				heads[first] = m
			} else {
				delete(heads, first)
			}
		}
	}
}

// resultOf reads what a call returned and how long it took: -1 EEXIST (File exists) <0.000012>.
func resultOf(text string) (result int64, took float64) {
	number, rest, _ := strings.Cut(text, " ")
	number, _, _ = strings.Cut(number, "<") // 3</a/file>
	result, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		result = -1 // the program ended inside of the call
	}
	if i := strings.LastIndexByte(rest, '<'); i >= 0 {
		took, _ = strconv.ParseFloat(strings.TrimSuffix(rest[i+1:], ">"), 64)
	}
	return result, took
}

var descriptor = regexp.MustCompile(`^(AT_FDCWD|\d+)<(.*)>(?:\(deleted\))?$`)

// described reads an argument such as 7</a/file>. Paths are in hex, sockets are not.
func described(argument string) (fd, what string) {
	m := descriptor.FindStringSubmatch(argument)
	if m == nil {
		return argument, ""
	}
	if path, err := strconv.Unquote(`"` + m[2] + `"`); err == nil {
		return m[1], path
	}
	return m[1], m[2]
}

// split cuts arguments at their commas. Strings are all in hex and hold none, paths of tests neither.
func (c *systemCall) split() []string { return strings.Split(c.arguments, ", ") }

// answerOf is what a call begins to write to the client at a port of this machine, where it is an HTTP answer of success.
func (c *systemCall) answerOf() (port int, ok bool) {
	if c.name != "write" || !strings.Contains(c.arguments, "<TCP:[") && !strings.Contains(c.arguments, "<TCPv6:[") {
		return 0, false
	}
	arguments := c.split()
	text, err := strconv.Unquote(strings.TrimSuffix(arguments[1], "..."))
	if err != nil || !strings.HasPrefix(text, "HTTP/1.1 2") {
		return 0, false
	}
	_, peer := described(arguments[0])
	port, err = strconv.Atoi(strings.TrimRight(peer[strings.LastIndexByte(peer, ':')+1:], "]>"))
	return port, err == nil
}

func TestTracesAreRead(t *testing.T) {
	for sentence, test := range map[string]struct {
		trace string
		want  []string
	}{
		"a call on one line": {`7 close(3)       = 0`, []string{"close 3 0 begins", "close 3 0 ends"}},
		"a call that failed": {`7 mkdirat(3</a>, "\x61", 0700) = -1 EEXIST (File exists)`, []string{`mkdirat 3</a>, "\x61", 0700 -1 begins`, `mkdirat 3</a>, "\x61", 0700 -1 ends`}},
		"two threads": {"7 1.5 fsync(3</a> <unfinished ...>\n8 1.6 write(4</b>, \"\\x61\", 1 <unfinished ...>\n7 1.7 <... fsync resumed>) = 0\n8 1.8 <... write resumed>) = 1",
			[]string{"fsync 3</a> 0 begins", "write 4</b>, \"\\x61\", 1 1 begins", "fsync 3</a> 0 ends", "write 4</b>, \"\\x61\", 1 1 ends"}},
		"what comes back late": {"7 openat(AT_FDCWD</>, \"\\x61\", O_RDWR <unfinished ...>\n7 <... openat resumed>) = 3</a>",
			[]string{`openat AT_FDCWD</>, "\x61", O_RDWR 3 begins`, `openat AT_FDCWD</>, "\x61", O_RDWR 3 ends`}},
		"the end inside of a call": {"7 fsync(3</a> <unfinished ...>\n7 <... fsync resumed>) = ?\n7 +++ exited with 0 +++", []string{"fsync 3</a> -1 begins", "fsync 3</a> -1 ends"}},
	} {
		var moments []moment
		for m, err := range readTrace(strings.NewReader(test.trace)) {
			must(t, err)
			moments = append(moments, m)
		}
		var got []string
		for _, m := range moments {
			got = append(got, fmt.Sprintf("%s %s %d %s", m.call.name, m.call.arguments, m.call.result, map[bool]string{false: "begins", true: "ends"}[m.ended]))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", sentence, got, test.want)
		}
	}
	for m, err := range readTrace(strings.NewReader("7 <... fsync resumed>) = 0")) {
		if err == nil {
			t.Errorf("the end of no call is read as %+v", m)
		}
	}
	if fd, what := described(`7<\x2f\x61>(deleted)`); fd != "7" || what != "/a" {
		t.Errorf("a descriptor is %s of %s", fd, what)
	}
	port, ok := (&systemCall{name: "write", arguments: `9<TCP:[127.0.0.1:80->127.0.0.1:4711]>, "\x48\x54\x54\x50\x2f\x31\x2e\x31\x20\x32\x30\x31", 12`}).answerOf()
	if port != 4711 || !ok {
		t.Errorf("an answer goes to port %d, %v", port, ok)
	}
}
