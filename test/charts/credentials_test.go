package charts

import (
	"encoding/base64"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

const canary = "canary-Zk3vR8qPw1"

// Each credential of each chart is set to the canary, alone and in the company that it needs.
func TestCredentialsAppearOnlyInSecrets(t *testing.T) {
	context := map[string]string{
		"operator-wandb": "global: {auth: {oidc: {issuer: https://id.example, clientId: wandb}}, mysql: {host: db}, bucket: {provider: s3, name: b}, redis: {host: r}}",
		"deploy-server":  "adminToken: {create: true, value: placeholder}",
	}
	stored := map[string]string{
		"operator-wandb global.license":          "wandb-license",
		"operator-wandb global.auth.oidc.secret": "wandb-oidc",
		"operator-wandb global.bucket.accessKey": "wandb-bucket",
		"operator-wandb global.bucket.secretKey": "wandb-bucket",
		"operator-wandb global.mysql.password":   "wandb-migrate,wandb-mysql",
		"deploy-server adminToken.value":         "wandb-admin",
	}
	found := 0
	for _, name := range reference.Charts() {
		for _, key := range reference.Keys(schemaOf(t, name)) {
			if !key.Secret {
				continue
			}
			found++
			out := render(t, name, input{values: with(t, parse(t, context[name]), key.Path, canary)})
			if strings.Contains(out.text()+out.notes, canary) {
				t.Errorf("%s: the value of %s stands in the render in plain text", name, key.Path)
			}
			holders := secretsWith(t, out, canary)
			if want := stored[name+" "+key.Path]; want != strings.Join(holders, ",") {
				t.Errorf("%s: the value of %s is in Secrets %v, want %q", name, key.Path, holders, want)
			}
		}
	}
	if found < 10 {
		t.Errorf("the schemas mark only %d credentials", found)
	}
}

func secretsWith(t *testing.T, out output, value string) []string {
	t.Helper()
	var names []string
	for _, object := range out.objects(t) {
		if object.GetKind() != "Secret" {
			continue
		}
		data, _, err := unstructured.NestedStringMap(object.Object, "data")
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range data {
			if plain, err := base64.StdEncoding.DecodeString(encoded); err == nil && string(plain) == value {
				names = append(names, object.GetName())
			}
		}
	}
	return names
}

func TestAnExistingSecretReplacesThePlainValue(t *testing.T) {
	out := render(t, "operator-wandb", input{values: parse(t, `
global:
  licenseSecret: {name: own-license, key: token}
  mysql: {host: db, password: `+canary+`, passwordSecret: {name: own-db, passwordKey: pw}}
  auth: {oidc: {issuer: "https://id.example", clientId: wandb, secret: `+canary+`, oidcSecret: {name: own-oidc}}}
`)})
	env := out.environment(t, "wandb-app")
	for name, want := range map[string]string{"LICENSE": "own-license/token", "MYSQL_PASSWORD": "own-db/pw", "OIDC_CLIENT_SECRET": "own-oidc/OIDC_SECRET"} {
		source := env[name].ValueFrom
		if source == nil || source.SecretKeyRef == nil || source.SecretKeyRef.Name+"/"+source.SecretKeyRef.Key != want {
			t.Errorf("%s comes from %+v, want Secret %s", name, source, want)
		}
	}
	for _, name := range []string{"wandb-mysql", "wandb-oidc"} {
		if secret := out.lookup(t, "Secret", name); secret != nil {
			t.Errorf("a plain password that nothing uses is stored in Secret %s", secret.GetName())
		}
	}
}

func TestKeptObjectsOutliveTheRelease(t *testing.T) {
	out := render(t, "operator-wandb", input{values: parse(t, "global: {license: token}")})
	deploy := render(t, "deploy-server", input{values: minimal("deploy-server")})
	for _, object := range []*unstructured.Unstructured{
		out.find(t, "Secret", "wandb-license"),
		out.find(t, "PersistentVolumeClaim", "wandb-app"),
		deploy.find(t, "PersistentVolumeClaim", "wandb"),
	} {
		if object.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s %s would go with the release", object.GetKind(), object.GetName())
		}
	}
}

func TestAFingerprintDoesNotGiveAPasswordAway(t *testing.T) {
	annotation := func(password, namespace string) string {
		out := render(t, "operator-wandb", input{namespace: namespace, values: parse(t, "global: {mysql: {host: db, password: "+password+"}}")})
		return out.pods(t)["Deployment/wandb-app"].Annotations["checksum/mysql"]
	}
	one, again, other, elsewhere := annotation("one", "a"), annotation("one", "a"), annotation("two", "a"), annotation("one", "b")
	if one == "" || one != again {
		t.Errorf("fingerprints of one password: %q and %q", one, again)
	}
	if one == other {
		t.Error("two passwords have one fingerprint: a change would restart nothing")
	}
	if one == elsewhere {
		t.Error("the fingerprint has no salt: one table would serve for all installations")
	}
}
