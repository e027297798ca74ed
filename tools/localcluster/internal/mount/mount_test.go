package mount

import (
	"slices"
	"strings"
	"testing"
)

func TestParseOrdersDeepestFirst(t *testing.T) {
	const table = `20 1 254:0 / / rw - ext4 /dev/vda rw
30 20 0:5 / /state/demo/kubelet/pods/a rw - tmpfs tmpfs rw
31 30 0:6 / /state/demo/kubelet/pods/a/b\040c rw - tmpfs tmpfs rw
32 20 0:7 / /state/demo rw - tmpfs tmpfs rw
33 20 0:8 / /state/demo2/x rw - tmpfs tmpfs rw
34 20 0:9 / /state/demo/kubelet/pods/a rw - tmpfs tmpfs rw
short
`
	got, err := parse(strings.NewReader(table), "/state/demo/")
	want := []string{"/state/demo/kubelet/pods/a/b c", "/state/demo/kubelet/pods/a", "/state/demo/kubelet/pods/a", "/state/demo"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("parse = %q, %v; want %q", got, err, want)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`/a\040b`: "/a b", `/a\134040`: `/a\040`, `/a\`: `/a\`, `/a\xyz`: `/a\xyz`} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}
