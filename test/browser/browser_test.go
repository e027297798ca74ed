package browser_test

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubewandb/kubewandb/internal/testenv"
	"github.com/kubewandb/kubewandb/test/browser"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var ada = browser.Account{Name: "Ada Lovelace", Username: "ada", Email: "ada@example.com", Password: "an engine weaves patterns 1843"}

const layer = `# asked for in ticket 12
values:
  app:
    extraEnv:
      LOG_LEVEL: debug
  global:
    host: https://other.example.com
`

func TestFirstDayOfAnInstallation(t *testing.T) {
	i := install(t)
	i.setStatus(statusOf(false))
	ctx, p := t.Context(), browser.Open(t, browser.Options{CA: i.ca})

	created, err := browser.Enter(ctx, p, i.url, ada)
	must(t, err)
	if !created {
		t.Error("an empty installation was not set up")
	}
	key, err := browser.CreateKey(ctx, p, i.url, "laptop")
	must(t, err)
	t.Logf("made a key of %d characters", len(key))

	must(t, p.Go(ctx, i.url))
	must(t, browser.OpenConsole(ctx, p, ada))
	must(t, browser.SeeOverview(ctx, p, i.console, "wandb-app-1", "wandb-console-1", "ImagePullBackOff", "v0.1.0",
		"Wait until the workloads of revision 1 are ready."))
	i.setStatus(statusOf(true)) // the page is still open, and nobody reloads it
	must(t, p.SeeText(ctx, "Wait for the next release."))
	must(t, p.Shot(ctx, "overview, ready"))

	must(t, browser.EditUserLayer(ctx, p, i.console, layer))
	secret := i.secrets("wandb-spec-user")
	if got := string(secret.Data["yaml"]); got != layer {
		t.Errorf("stored text %q, want %q", got, layer)
	}
	if got := secret.Annotations["kubewandb.io/last-edit"]; !strings.Contains(got, `"by":"ada"`) {
		t.Errorf("last edit %s, want it to name ada", got)
	}
	must(t, browser.SeeUserLayer(ctx, p, i.console, "# asked for in ticket 12"))
	must(t, p.SeeText(ctx, "values.global.host"))
	must(t, p.Shot(ctx, "user layer, one setting shadowed"))
	must(t, browser.MistakeInUserLayer(ctx, p, i.console, "values:\n  app: 1\n  app: 2\n", 3, "for the second time"))
	must(t, browser.SeeActive(ctx, p, i.console, "channelName: stable"))
	if shown, err := p.Text(ctx); err != nil || strings.Contains(shown, "loopback.license") {
		t.Errorf("the active specification shows the licence (%v):\n%s", err, shown)
	}
	must(t, browser.LeaveConsole(ctx, p, ada.Username))

	const most = 100 // MiB; the chart limits the console to little more
	if used := i.consoleMemory(t); used > most {
		t.Errorf("the console uses %d MiB, want at most %d", used, most)
	} else {
		t.Logf("the console uses %d MiB", used)
	}
}

func TestConsoleWhileTheApplicationIsDown(t *testing.T) {
	i := install(t)
	i.setStatus(statusOf(true))
	ctx, p := t.Context(), browser.Open(t, browser.Options{CA: i.ca, Dark: true})
	i.stopApplication()
	must(t, browser.MistypePassword(ctx, p, i.console))
	must(t, browser.EnterConsole(ctx, p, i.console, i.password))
	must(t, browser.SeeOverview(ctx, p, i.console, "wandb-app-1"))
	must(t, browser.EditUserLayer(ctx, p, i.console, "values:\n  app:\n    replicas: 1\n"))
	must(t, browser.LeaveConsole(ctx, p, browser.ConsoleUser))
}

func TestPagesOnAPhone(t *testing.T) {
	i := install(t)
	i.setStatus(statusOf(false))
	ctx, p := t.Context(), browser.Open(t, browser.Options{CA: i.ca, Width: 390, Height: 844})
	_, err := browser.Enter(ctx, p, i.url, ada)
	must(t, err)
	must(t, browser.OpenConsole(ctx, p, ada))
	must(t, browser.SeeOverview(ctx, p, i.console, "wandb-app-1"))
	must(t, browser.EditUserLayer(ctx, p, i.console, layer))
}

func TestUnknownAuthorityIsRefused(t *testing.T) {
	i := install(t)
	p := browser.Open(t, browser.Options{})
	if err := p.Go(t.Context(), i.url); err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("without the authority the browser says %v", err)
	}
}

// TestLiveInstallation walks over a demo that runs already. It is skipped without one: the end-to-end suite brings its own
// and calls the same scenarios.
func TestLiveInstallation(t *testing.T) {
	base, console := os.Getenv("WANDB_BASE_URL"), os.Getenv("CONSOLE_URL")
	if base == "" || console == "" || os.Getenv("BROWSER_LIVE") != "1" {
		t.Skip(`no live installation: run eval "$(make -s demo-env)", then this test with BROWSER_LIVE=1`)
	}
	who := ada
	if name, password := os.Getenv("BROWSER_ADMIN_USER"), os.Getenv("BROWSER_ADMIN_PASSWORD"); name != "" && password != "" {
		who = browser.Account{Name: name, Username: name, Email: name + "@example.com", Password: password}
	}
	ctx, p := t.Context(), browser.Open(t, browser.Options{CA: os.Getenv("CA_FILE")})
	_, err := browser.Enter(ctx, p, base, who)
	must(t, err)
	_, err = browser.CreateKey(ctx, p, base, "browser test")
	must(t, err)
	must(t, p.Go(ctx, base))
	must(t, browser.OpenConsole(ctx, p, who))
	must(t, browser.LeaveConsole(ctx, p, who.Username))
	must(t, browser.EnterConsole(ctx, p, console, livePassword(t)))
	must(t, browser.SeeOverview(ctx, p, console, "app", "console"))
	must(t, browser.LeaveConsole(ctx, p, browser.ConsoleUser))
}

// livePassword reads the console's password with KUBECONFIG. WANDB_NAMESPACE and WANDB_NAME say where, "default" and
// "wandb" without them.
func livePassword(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(t, err)
	kube, err := kubernetes.NewForConfig(config)
	must(t, err)
	namespace, name := os.Getenv("WANDB_NAMESPACE"), os.Getenv("WANDB_NAME")
	if namespace == "" {
		namespace = "default"
	}
	if name == "" {
		name = "wandb"
	}
	secret, err := kube.CoreV1().Secrets(namespace).Get(t.Context(), name+"-password", metav1.GetOptions{})
	must(t, err)
	return string(secret.Data["password"])
}
