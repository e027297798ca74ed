package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

func TestRedaction(t *testing.T) {
	const (
		canary = "canary-2d7e"
		jwt    = "eyJhbGciOiJFZERTQSJ9.eyJjYW5hcnkiOjF9.c2ln"
		pem    = "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----"
		mask   = redact.Mask
	)
	tests := map[string]struct{ values, want m }{
		"by the key's name": {
			values: m{"global": m{"license": canary, "mysql": m{"password": canary, "user": "wandb"}, "bucket": m{"accessKey": canary, "secretKey": canary, "kmsKey": "arn"}}, "auth": m{"oidc": m{"secret": canary, "clientId": "id"}}, "api_token": canary},
			want:   m{"global": m{"license": mask, "mysql": m{"password": mask, "user": "wandb"}, "bucket": m{"accessKey": mask, "secretKey": mask, "kmsKey": "arn"}}, "auth": m{"oidc": m{"secret": mask, "clientId": "id"}}, "api_token": mask},
		},
		"a number is a password too": {
			values: m{"password": int64(12345678)}, want: m{"password": mask},
		},
		"nothing set is shown as nothing set": {
			values: m{"password": "", "license": nil, "token": false}, want: m{"password": "", "license": nil, "token": false},
		},
		"names of Secrets and of their keys are no secrets": {
			values: m{"licenseSecret": m{"name": "s", "key": "license"}, "passwordSecret": m{"name": "db", "passwordKey": "MYSQL_PASSWORD"}, "secretName": "tls", "valueFrom": m{"secretKeyRef": m{"name": "x", "key": "y"}}, "imagePullSecrets": l{m{"name": "regcred"}}},
			want:   m{"licenseSecret": m{"name": "s", "key": "license"}, "passwordSecret": m{"name": "db", "passwordKey": "MYSQL_PASSWORD"}, "secretName": "tls", "valueFrom": m{"secretKeyRef": m{"name": "x", "key": "y"}}, "imagePullSecrets": l{m{"name": "regcred"}}},
		},
		"environment variables": {
			values: m{"extraEnv": m{"SOME_API_KEY": canary, "DB_DSN": canary, "LOG_LEVEL": "debug"}, "env": l{m{"name": "GORILLA_SECRET", "value": canary}, m{"name": "PATH", "value": "/bin"}}},
			want:   m{"extraEnv": m{"SOME_API_KEY": mask, "DB_DSN": mask, "LOG_LEVEL": "debug"}, "env": l{m{"name": "GORILLA_SECRET", "value": mask}, m{"name": "PATH", "value": "/bin"}}},
		},
		"user information in URLs": {
			values: m{"redis": "redis://:" + canary + "@cache:6379/0", "note": "see https://a:" + canary + "@x/y and https://ok.example.com/@z"},
			want:   m{"redis": "redis://" + mask + "@cache:6379/0", "note": "see https://" + mask + "@x/y and https://ok.example.com/@z"},
		},
		"lists of credentials, but not of the names of Secrets": {
			values: m{"tokens": l{canary, "other-canary"}, "pullSecrets": l{"regcred"}}, want: m{"tokens": l{mask, mask}, "pullSecrets": l{"regcred"}},
		},
		"a small number is hidden in its own place only": {
			values: m{"sessionToken": int64(5), "replicas": int64(5)}, want: m{"sessionToken": mask, "replicas": int64(5)},
		},
		"by the text's own form": {
			values: m{"a": jwt, "b": l{pem}}, want: m{"a": mask, "b": l{mask}},
		},
		"the same text elsewhere": {
			values: m{"mysql": m{"password": canary}, "copy": l{m{"plain": canary}}}, want: m{"mysql": m{"password": mask}, "copy": l{m{"plain": mask}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := marshal(t, test.values)
			if diff := cmp.Diff(test.want, spec.Redact(test.values, nil)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if marshal(t, test.values) != before {
				t.Error("the input was changed")
			}
		})
	}
	t.Run("by the schema's word", func(t *testing.T) {
		s := schema(t, `{"properties":{"a":{"x-secret":true},"b":{"format":"password"},"c":{"writeOnly":true},"d":{"type":"array","items":{"properties":{"e":{"x-secret":true}}}}}}`)
		got := spec.Redact(m{"a": canary, "b": canary, "c": canary, "d": l{m{"e": "an item's " + canary, "f": "shown"}}}, s)
		if text := marshal(t, got); strings.Contains(text, canary) || !strings.Contains(text, "shown") {
			t.Errorf("got %s", text)
		}
	})
}

func TestMaskText(t *testing.T) {
	values := m{"mysql": m{"password": "hunter22"}, "pin": m{"password": "1"}, "url": "mysql://u:dbpw9@db/x", "kafka": m{"password": "wandb"}}
	secrets := spec.Secrets(values, nil)
	tests := map[string]struct{ text, want string }{
		"anywhere in the text":           {`value "xhunter22y" is invalid`, `value "x[redacted]y" is invalid`},
		"the password of a URL":          {`access denied for dbpw9`, `access denied for [redacted]`},
		"a short one where it is alone":  {`type "1" of 12 in v1`, `type "[redacted]" of 12 in v1`},
		"a weak one hides no names":      {`wandb: Deployment wandb/wandb-app of "wandb" wandb`, `[redacted]: Deployment wandb/wandb-app of "[redacted]" [redacted]`},
		"a URL that was never a value":   {`dial https://a:b@x: refused`, `dial https://[redacted]@x: refused`},
		"a text that has nothing of all": {`deployments.apps "demo" not found`, `deployments.apps "demo" not found`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := spec.MaskText(test.text, secrets); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
