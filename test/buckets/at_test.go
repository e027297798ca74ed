package buckets

import (
	"net"
	"os/exec"
	"testing"

	"github.com/kubewandb/kubewandb/test/netns"
)

// A store inside of a namespace is reached from there, and from nowhere else.
func TestAGatewayLivesInsideOfANamespace(t *testing.T) {
	const name = "kubewandb-buckets-test"
	run := func(arguments ...string) {
		t.Helper()
		if output, err := exec.CommandContext(t.Context(), "ip", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", arguments, err, output)
		}
	}
	run("netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", name).Run() })
	run("-n", name, "link", "set", "lo", "up")
	place := netns.Place{Namespace: "/var/run/netns/" + name, Bind: "127.0.0.1"}
	g := GatewayAt(t, place)
	conn, err := place.Dial(t.Context(), "tcp", net.JoinHostPort(g.Host, g.Port))
	if err != nil {
		t.Fatalf("reach it from inside: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", net.JoinHostPort(g.Host, g.Port)); err == nil {
		_ = conn.Close()
		t.Error("it is reached from outside of the namespace")
	}
}
