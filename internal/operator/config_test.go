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
