package debian

import (
	"slices"
	"testing"
)

func TestMissing(t *testing.T) {
	for name, test := range map[string]struct {
		present []string
		want    []string
	}{
		"nothing is there": {nil, []string{"containerd", "containernetworking-plugins", "iproute2", "iptables", "mount", "nftables", "runc", "util-linux"}},
		"one program of a package lacks": {
			[]string{"containerd", "ctr", "runc", "nft", "iptables", "ip", "mount", "nsenter", PluginFolder + "/ptp", PluginFolder + "/host-local"},
			[]string{"containerd"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := missing(needs(), func(n need) bool { return slices.Contains(test.present, n.program+n.file) })
			if !slices.Equal(got, test.want) {
				t.Errorf("missing = %v, want %v", got, test.want)
			}
		})
	}
}
