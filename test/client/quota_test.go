package client_test

import (
	"bufio"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFullQuotaLosesNothing: a new run fails at once and says why, one that has begun goes on to its end, and one that was
// logged offline is synced when there is room.
func TestAFullQuotaLosesNothing(t *testing.T) {
	p := serve(t)
	p.ends(t)
	home := p.user(t, "ada")
	training := home.Command(t.Context(), "python", script(t, "quota.py"))
	var failed bytes.Buffer
	training.Stderr = &failed
	input, err := training.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := training.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := training.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "begun" {
	}
	var usage struct{ UsedBytes, QuotaBytes int64 }
	p.admin(t, &usage, "quota", "set", "ada", "1")
	if p.admin(t, &usage, "quota", "measure", "ada"); usage.UsedBytes < usage.QuotaBytes || usage.QuotaBytes != 1 {
		t.Fatalf("a run that has begun stores %+v", usage)
	}
	if _, err := io.WriteString(input, "full\n"); err != nil {
		t.Fatal(err)
	}
	good := false
	for lines.Scan() {
		good = good || lines.Text() == "good"
	}
	if err := training.Wait(); err != nil || !good {
		t.Fatalf("%v: %s\n--- server:\n%s", err, &failed, p.logs.tail())
	}

	offline, err := filepath.Glob(filepath.Join(home.Folder, "wandb", "offline-run-*-later"))
	if err != nil || len(offline) != 1 {
		t.Fatalf("offline runs in %v, %v", offline, err)
	}
	refused := home.Run(t, "wandb", "sync", offline[0])
	if !strings.Contains(refused.Output, "the storage quota of ada is used up") {
		t.Errorf("syncing where the quota is used up: exit code %d: %s", refused.Code, refused.Output)
	}
	tries := 0
	for _, r := range p.tape.requests() {
		if strings.Contains(string(r.Answer), "the storage quota of ada is used up") {
			tries++
		}
	}
	if tries != 3 {
		t.Errorf("three runs were refused, by %d answers: the client tries again", tries)
	}
	p.admin(t, &usage, "quota", "set", "ada", "1Gi")
	if synced := home.Run(t, "wandb", "sync", offline[0]); synced.Code != 0 {
		t.Fatalf("syncing with room again: exit code %d: %s\n%s", synced.Code, synced.Output, p.logs.tail())
	}
	p.runs(t, home, "quota.py", "read")
}
