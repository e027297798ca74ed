package server

import (
	"bufio"
	"cmp"
	"fmt"
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
	"unlink,unlinkat,rmdir,mkdir,mkdirat"

// How many bytes of what is written a trace holds.
const (
	headOnly   = "16" // tells what an answer is
	everything = "2000000"
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

var (
	traceLine = regexp.MustCompile(`^(\d+) +(?:(\d+\.\d+) )?(.*)$`)
	wholeCall = regexp.MustCompile(`^(\w+)\((.*)\)\s+= (-?\d+|\?)(?:.* <(\d+\.\d+)>$)?`)
	beginning = regexp.MustCompile(`^(\w+)\((.*?),? ?<unfinished \.\.\.>$`)
	remainder = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+|\?)`)
)

// readTrace reads what strace wrote.
func readTrace(text string) (moments []moment, err error) {
	open := map[string]*systemCall{} // of each thread
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		parts := traceLine.FindStringSubmatch(lines.Text())
		if parts == nil {
			return nil, fmt.Errorf("%.200q is no line of a trace", lines.Text())
		}
		thread, rest := parts[1], parts[3]
		at, _ := strconv.ParseFloat(parts[2], 64)
		if m := beginning.FindStringSubmatch(rest); m != nil {
			open[thread] = &systemCall{name: m[1], arguments: m[2], result: -1}
			moments = append(moments, moment{at, open[thread], false})
		} else if m := remainder.FindStringSubmatch(rest); m != nil {
			call := open[thread]
			if call == nil || call.name != m[1] {
				return nil, fmt.Errorf("%.200q continues nothing", lines.Text())
			}
			delete(open, thread)
			call.arguments += m[2]
			call.result = resultOf(m[3])
			moments = append(moments, moment{at, call, true})
		} else if m := wholeCall.FindStringSubmatch(rest); m != nil {
			call := &systemCall{m[1], m[2], resultOf(m[3])}
			took, _ := strconv.ParseFloat(m[4], 64)
			moments = append(moments, moment{at, call, false}, moment{at + took, call, true})
		} else if !strings.HasPrefix(rest, "+++ ") && !strings.HasSuffix(rest, "<detached ...>") {
			return nil, fmt.Errorf("%.200q is no call", rest)
		}
	}
	return moments, lines.Err()
}

// inOrder merges the traces of several programs by their times.
func inOrder(traces ...[]moment) []moment {
	all := slices.Concat(traces...)
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	return all
}

func resultOf(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1 // the program ended inside of the call
	}
	return n
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
		moments, err := readTrace(test.trace)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		var got []string
		for _, m := range moments {
			got = append(got, fmt.Sprintf("%s %s %d %s", m.call.name, m.call.arguments, m.call.result, map[bool]string{false: "begins", true: "ends"}[m.ended]))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", sentence, got, test.want)
		}
	}
	if _, err := readTrace("7 <... fsync resumed>) = 0"); err == nil {
		t.Error("the end of no call is read")
	}
	if fd, what := described(`7<\x2f\x61>(deleted)`); fd != "7" || what != "/a" {
		t.Errorf("a descriptor is %s of %s", fd, what)
	}
	port, ok := (&systemCall{name: "write", arguments: `9<TCP:[127.0.0.1:80->127.0.0.1:4711]>, "\x48\x54\x54\x50\x2f\x31\x2e\x31\x20\x32\x30\x31", 12`}).answerOf()
	if port != 4711 || !ok {
		t.Errorf("an answer goes to port %d, %v", port, ok)
	}
}
