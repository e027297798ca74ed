package operator

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/notify"
)

func TestNotificationsAreSetAsAWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	must(t, os.WriteFile(file, []byte("https://hooks.test/x"), 0o600))
	for name, c := range map[string]struct {
		config       Config
		sends, wrong bool
	}{
		"nothing is set":                   {config: Config{}},
		"a webhook":                        {config: Config{NotifyURLFile: file}, sends: true},
		"a webhook whose file comes later": {config: Config{NotifyURLFile: file + "-later"}, sends: true},
		"a webhook with a key and kinds":   {config: Config{NotifyURLFile: file, NotifyKeyFile: file, NotifyKinds: []string{"RolledBack"}}, sends: true},
		"a kind that is none":              {config: Config{NotifyURLFile: file, NotifyKinds: []string{"Rolledback"}}, wrong: true},
		"a key and nothing to sign":        {config: Config{NotifyKeyFile: file}, wrong: true},
	} {
		c.config.RESTConfig, c.config.Namespace = &rest.Config{}, "wandb"
		err := c.config.settle()
		if (err != nil) != c.wrong || c.wrong && (fault.Reason(err, "") != notify.ReasonConfigInvalid || fault.Hint(err) == "") {
			t.Errorf("%s: %v", name, fault.Message(err))
		}
		if c.wrong {
			continue
		}
		sender, err := c.config.notices(nil)
		if err != nil || (sender != nil) != c.sends {
			t.Errorf("%s: sender %v, error %v", name, sender != nil, err)
		}
	}
}

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
