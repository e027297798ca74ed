package e2e

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kubewandb/kubewandb/test/browser"
	"github.com/kubewandb/kubewandb/test/buckets"
	"github.com/kubewandb/kubewandb/test/client"
	"github.com/kubewandb/kubewandb/test/mysql"
	"github.com/kubewandb/kubewandb/test/netns"
)

// verifyMarks is how many checks `wandb verify` prints a mark for.
const verifyMarks = 10

// TestGP1TwoReplicasKeepEverythingOutsideOfTheirPods moves the installation to what production looks like: two replicas, a
// MySQL and an object store outside of the pods, files on another host than the application. `wandb verify` is the entrance;
// then everything is read back with an empty cache, again after every replica was restarted, and by somebody else.
func TestGP1TwoReplicasKeepEverythingOutsideOfTheirPods(t *testing.T) {
	node := netns.Node(clusterName)
	database, store := mysql.StartAt(t, node), buckets.GatewayAt(t, node)
	publish(t, "storage", store.Host, store.Port)
	// Not a cleanup: those run when the test's context has ended.
	defer leaveOutside(t, `{"spec":{"values":{"global":{"mysql":null,"bucket":null},"app":null}}}`)
	apply(t, manifest(t, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "e2e-outside", "namespace": namespace},
		"stringData": map[string]string{"password": database.Password, "access": store.AccessKey, "secret": store.SecretKey},
	}))
	configure(t, string(encode(t, map[string]any{"spec": map[string]any{"values": map[string]any{
		"global": map[string]any{
			"mysql": map[string]any{
				"host": database.Host, "port": database.Port, "database": database.Name, "user": database.User,
				"passwordSecret": map[string]string{"name": "e2e-outside", "passwordKey": "password"},
			},
			"bucket": map[string]any{
				"provider": "s3", "name": publicName("storage") + ":443", "path": store.Bucket + "?tls=true", "region": store.Region,
				"secret": map[string]string{"secretName": "e2e-outside", "accessKeyName": "access", "secretKeyName": "secret"},
			},
		},
		"app": map[string]any{"replicaCount": 2},
	}}})))
	if replicas := pods(t, namespace, "app.kubernetes.io/component=app"); len(replicas) != 2 {
		t.Fatalf("%d replicas run, want 2", len(replicas))
	}
	t.Run("media", seesMediaOfAnotherHost) // its browser ends before the replicas do
	keepsEverything(t)
}

// seesMediaOfAnotherHost logs media with the official client and looks at them in a browser: an image, which the page's policy
// must admit from the bucket's host, and a text, which the bucket must let the page fetch.
func seesMediaOfAnotherHost(t *testing.T) {
	ctx, page, url := t.Context(), browser.Open(t, browser.Options{CA: system.env["CA_FILE"]}), system.env["WANDB_BASE_URL"]
	_, err := browser.Enter(ctx, page, url, account)
	must(t, err)
	key, err := browser.CreateKey(ctx, page, url, "media")
	must(t, err)
	home := trusting(t)
	home.Env = append(home.Env, "WANDB_API_KEY="+key, "WANDB_ENTITY="+administrator)
	result := home.Run(t, "python", filepath.Join(system.root, "test", "client", "scripts", "media.py"))
	_, image, found := strings.Cut(result.Output, "image: ")
	if image, _, _ = strings.Cut(image, "\n"); result.Code != 0 || !found {
		t.Fatalf("log media: exit code %d: %s", result.Code, result.Output)
	}
	files := url + "/" + administrator + "/media/runs/media-1/files/"
	must(t, page.Go(ctx, files+image))
	must(t, page.SeeImage(ctx, path.Base(image)))
	must(t, page.Shot(ctx, "image of another host"))
	must(t, page.Go(ctx, files+"note%20with%20100%25.txt"))
	must(t, page.SeeText(ctx, "kept"))
	must(t, page.Shot(ctx, "text of another host"))
}

// keepsEverything verifies the installation with the official client and reads back what that left.
func keepsEverything(t *testing.T) {
	t.Helper()
	name, stranger := fmt.Sprintf("verify%d", time.Now().Unix()), fmt.Sprintf("stranger%d", time.Now().Unix())
	home := newcomer(t, name)
	result := home.Run(t, "wandb", "verify", "--host", system.env["WANDB_BASE_URL"])
	green, red := strings.Count(result.Output, "\u2705"), strings.Count(result.Output, "\u274c")
	if result.Code != 0 || green != verifyMarks || red != 0 {
		t.Fatalf("exit code %d, %d green and %d red marks: %s\n%s", result.Code, green, red, result.Output, logsOf(t))
	}
	first := everythingOf(t, home, name, "all")
	for _, want := range []string{"artifact ", "file ", "row "} {
		if !strings.Contains(first, "\n"+want) {
			t.Errorf("nothing that begins with %q in %s", want, first)
		}
	}
	shell(t, "kubectl", "rollout", "restart", "deployment/wandb-app")
	shell(t, "kubectl", "rollout", "status", "deployment/wandb-app", "--timeout=120s")
	if difference := cmp.Diff(strings.Split(first, "\n"), strings.Split(everythingOf(t, home, name, "all"), "\n")); difference != "" {
		t.Errorf("what is there changed when every replica was restarted: %s\n%s", difference, logsOf(t))
	}
	everythingOf(t, newcomer(t, stranger), name, "none")
}

// newcomer makes a user and logs in.
func newcomer(t *testing.T, name string) *client.Home {
	t.Helper()
	var key struct{ Key string }
	admin(t, "user", "create", "--username", name,
		"--email", name+"@example.com", "--no-password")
	decode(t, admin(t, "key", "create", "--username", name), &key)
	home := trusting(t)
	// Errors are reported to a host that does not exist for this machine: that must disturb nothing.
	home.Env = append(home.Env, "WANDB_ERROR_REPORTING=true")
	if result := home.Run(t, "wandb", "login", "--host", system.env["WANDB_BASE_URL"], "--verify", key.Key); result.Code != 0 {
		t.Fatalf("log in: %s", result.Output)
	}
	return home
}

// trusting is a home whose client knows the demo and its authority.
func trusting(t *testing.T) *client.Home {
	t.Helper()
	home := client.NewHome(t)
	for _, variable := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WANDB_BASE_URL"} {
		home.Env = append(home.Env, variable+"="+system.env[variable])
	}
	return home
}

// everythingOf reads all that an entity has in the project of `wandb verify`, with an empty cache.
func everythingOf(t *testing.T, home *client.Home, entity, mode string) string {
	t.Helper()
	reader := *home
	reader.Env = append(slices.Clone(home.Env), "WANDB_CACHE_DIR="+t.TempDir())
	listing := filepath.Join(t.TempDir(), "listing")
	result := reader.Run(t, "python", filepath.Join(system.root, "test", "client", "scripts", "everything.py"), entity, mode, listing, "verify")
	if result.Code != 0 {
		t.Fatalf("read %s of %s: %s", mode, entity, result.Output)
	}
	listed, err := os.ReadFile(listing)
	if err != nil {
		t.Fatal(err)
	}
	return string(listed)
}

// logsOf is what the replicas logged last.
func logsOf(t *testing.T) string {
	t.Helper()
	output, err := try(t.Context(), "", "kubectl", "logs", "-l", "app.kubernetes.io/component=app", "--prefix", "--tail=60")
	if err != nil {
		return err.Error()
	}
	return output
}
