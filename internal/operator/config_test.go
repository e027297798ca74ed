package operator

import (
	"testing"

	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/fault"
)

func TestProcessSettingsAreChecked(t *testing.T) {
	tests := map[string]struct {
		concurrency int
		profile     string
		// want is the concurrency that is settled on; 0 where the configuration is refused.
		want int
	}{
		"should take the default":                      {want: DefaultConcurrency},
		"should take what is asked for":                {concurrency: 3, want: 3},
		"should refuse more than the API server bears": {concurrency: maxConcurrency + 1},
		"should refuse less than one":                  {concurrency: -1},
		"should serve profiles on loopback":            {profile: "127.0.0.1:6060", want: DefaultConcurrency},
		"should not serve profiles to the network":     {profile: ":6060"},
		"should not serve profiles on a name":          {profile: "localhost.example.com:6060"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{RESTConfig: &rest.Config{}, Namespace: "wandb", Concurrency: test.concurrency, ProfileAddress: test.profile}
			err := c.settle()
			if (err != nil) != (test.want == 0) {
				t.Fatalf("error %v, want concurrency %d", err, test.want)
			}
			if err != nil && fault.Reason(err, "") != "ConfigInvalid" {
				t.Errorf("reason %q", fault.Reason(err, ""))
			}
			if err == nil && c.Concurrency != test.want {
				t.Errorf("concurrency %d, want %d", c.Concurrency, test.want)
			}
		})
	}
}
