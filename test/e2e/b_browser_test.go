package e2e

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/browser"
)

// administrator is the account that the browser makes at the first visit; later tests use it.
const administrator = "ada"

var account = browser.Account{
	Name: "Ada Lovelace", Username: administrator, Email: "ada@example.com", Password: "analytical engine 1843",
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestB1TheFirstVisitMakesTheAdministrator signs up, makes an API key where `wandb login` sends people, and walks to the
// System Console, which knows the administrator by the application's cookie.
func TestB1TheFirstVisitMakesTheAdministrator(t *testing.T) {
	ctx, page := t.Context(), browser.Open(t, browser.Options{CA: system.env["CA_FILE"]})
	url := system.env["WANDB_BASE_URL"]

	must(t, browser.SignUp(ctx, page, url, account))
	key, err := browser.CreateKey(ctx, page, url, "laptop")
	must(t, err)
	if len(key) < 40 {
		t.Errorf("the page showed a key of %d characters", len(key))
	}
	must(t, page.Go(ctx, url))
	must(t, browser.OpenConsole(ctx, page, account))
	must(t, browser.SeeOverview(ctx, page, system.env["CONSOLE_URL"], resource(t).Status.Release.Name, "wandb-app", "wandb-console"))
	must(t, browser.LeaveConsole(ctx, page, account.Username))
}

// TestB2TheConsoleOpensWithThePasswordOfTheSecret is the mission's second way in, and edits the user layer.
func TestB2TheConsoleOpensWithThePasswordOfTheSecret(t *testing.T) {
	encoded := shell(t, "kubectl", "get", "secret", "wandb-password", "-o", "jsonpath={.data.password}")
	password, err := base64.StdEncoding.DecodeString(encoded)
	must(t, err)

	ctx, page := t.Context(), browser.Open(t, browser.Options{CA: system.env["CA_FILE"], Dark: true})
	console := system.env["CONSOLE_URL"]
	must(t, browser.EnterConsole(ctx, page, console, string(password)))
	must(t, browser.SeeOverview(ctx, page, console, resource(t).Status.Release.Name))
	released(t, func() {
		must(t, browser.EditUserLayer(ctx, page, console, "values:\n  global:\n    banners:\n      e2e: {type: info, message: Served by the user layer}\n"))
	})
	stored := shell(t, "kubectl", "get", "secret", "wandb-spec-user", "-o", "jsonpath={.data.values}")
	values, err := base64.StdEncoding.DecodeString(stored)
	must(t, err)
	if !strings.Contains(string(values), "Served by the user layer") {
		t.Errorf("the user layer does not hold the edit: %s", values)
	}
	must(t, browser.LeaveConsole(ctx, page, browser.ConsoleUser))
	released(t, func() { setUserLayer(t, map[string]any{}) })
}
