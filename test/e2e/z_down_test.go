package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestZ1DownLeavesNothingBehind takes the demo down and looks for everything it could have left on the machine.
func TestZ1DownLeavesNothingBehind(t *testing.T) {
	if os.Getenv("E2E_KEEP") != "" {
		t.Skip("E2E_KEEP is set: the cluster stays for a look")
	}
	if output, err := demo(t.Context(), "down"); err != nil {
		t.Fatalf("make demo-down: %v\n%s", err, output)
	}
	mark := "kubewandb-" + clusterName
	if namespaces, err := exec.CommandContext(t.Context(), "ip", "netns", "list").Output(); err != nil || strings.Contains(string(namespaces), mark) {
		t.Errorf("network namespaces after down: %s (%v)", namespaces, err)
	}
	stateMark := filepath.Join("kubewandb", "clusters", clusterName)
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || strings.Contains(string(mounts), stateMark) {
		t.Errorf("mounts of the cluster remain (%v)", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range interfaces {
		if strings.Contains(one.Name, clusterName) || strings.HasPrefix(one.Name, "node0") || strings.HasPrefix(one.Name, "cni") {
			t.Errorf("interface %s remains", one.Name)
		}
	}
	if groups, err := filepath.Glob("/sys/fs/cgroup/*/" + mark + "*"); err != nil || len(groups) > 0 {
		t.Errorf("cgroups remain: %v (%v)", groups, err)
	}
	for _, left := range processesWith(t, stateMark, mark) {
		t.Errorf("process remains: %s", left)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil || strings.Contains(string(hosts), "."+clusterName+".test") {
		t.Errorf("names remain in the hosts file (%v):\n%s", err, hosts)
	}
	if _, err := os.Stat(filepath.Join(system.dir, "demo")); !os.IsNotExist(err) {
		t.Errorf("the demo's folder with its keys remains: %v", err)
	}
}

// processesWith lists the command lines that mention one of the marks.
func processesWith(t *testing.T, marks ...string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it ended while we looked
		}
		line := strings.ReplaceAll(string(content), "\x00", " ")
		for _, mark := range marks {
			if strings.Contains(line, mark) {
				found = append(found, line)
				break
			}
		}
	}
	return found
}
