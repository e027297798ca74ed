package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/redact"
)

const canary = "canary-7f3a"

func TestSecretNeverPrintsItself(t *testing.T) {
	type credentials struct {
		User     string
		Password redact.Secret
	}
	value := credentials{User: "wandb", Password: canary}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("credentials", "password", value.Password, "all", value)
	document, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{
		"json": string(document),
		"slog": log.String(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed[verb] = fmt.Sprintf(verb, value) + fmt.Sprintf(verb, value.Password) + fmt.Sprintf(verb, &value)
	}
	for how, text := range printed {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestSecretDecodesAndReveals(t *testing.T) {
	var value struct{ Password redact.Secret }
	if err := json.Unmarshal([]byte(`{"Password":"`+canary+`"}`), &value); err != nil {
		t.Fatal(err)
	}
	if got := value.Password.Reveal(); got != canary {
		t.Fatalf("Reveal() = %q, want %q", got, canary)
	}
	if got := redact.Secret("").String(); got != "" {
		t.Fatalf("the empty secret prints %q, want nothing", got)
	}
}
