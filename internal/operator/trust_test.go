package operator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// signer accepts the releases that it is told to.
type signer struct{ accepted map[string]bool }

func (s signer) Verify(_ context.Context, _ channel.Subscription, release *catalog.Release) error {
	if s.accepted[release.Name()] {
		return nil
	}
	return &fault.Error{Reason: channel.ReasonSignatureInvalid, Op: "verify release", Err: errors.New("not signed"), Hint: "Do not install it."}
}

func TestSignedTrustTakesNothingElseAndIsRemembered(t *testing.T) {
	i := newInstallation(t, func(c *Config) {
		c.Trust, c.Verifier = channel.TrustSigned, signer{accepted: map[string]bool{"v1": true}}
	})
	key := i.running()
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	i.awaitCondition(key, appsv1.ConditionChannelReachable, metav1.ConditionFalse, channel.ReasonSignatureInvalid)
	i.awaitConfig(map[string]string{"tag": "1"})
	if trust := string(i.secret("wandb-installation").Data["trust"]); trust != string(channel.TrustSigned) {
		t.Errorf("the trust that was recorded is %q", trust)
	}
	i.stop()

	// Somebody sets the operator to TLS, by mistake or not: it takes no release that it cannot verify.
	i.config.Trust, i.config.Verifier = channel.TrustTLS, nil
	i.start()
	message := i.awaitCondition(key, appsv1.ConditionChannelReachable, metav1.ConditionFalse, "TrustInvalid")
	if !strings.Contains(message, "spec.update.trust") {
		t.Errorf("message %q does not say how to go back", message)
	}
	i.awaitConfig(map[string]string{"tag": "1"})
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Update = &appsv1.Update{Trust: appsv1.TrustTLS} })
	i.awaitConfig(map[string]string{"tag": "2"})
}

func TestWantedTrust(t *testing.T) {
	tests := map[string]struct {
		own, recorded channel.Trust
		resource      appsv1.TrustMode
		want          channel.Trust
	}{
		"the operator's own setting":            {own: channel.TrustTLS, want: channel.TrustTLS},
		"signatures were accepted before":       {own: channel.TrustTLS, recorded: channel.TrustSigned, want: channel.TrustSigned},
		"a person takes it back":                {own: channel.TrustSigned, recorded: channel.TrustSigned, resource: appsv1.TrustTLS, want: channel.TrustTLS},
		"a person asks for more":                {own: channel.TrustTLS, resource: appsv1.TrustSigned, want: channel.TrustSigned},
		"an older note of TLS does not weaken":  {own: channel.TrustSigned, recorded: channel.TrustTLS, want: channel.TrustSigned},
		"nothing recorded and the mode is more": {own: channel.TrustSigned, want: channel.TrustSigned},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cr := &appsv1.WeightsAndBiases{}
			if test.resource != "" {
				cr.Spec.Update = &appsv1.Update{Trust: test.resource}
			}
			if got := wantedTrust(test.own, test.recorded, cr); got != test.want {
				t.Errorf("wantedTrust = %s, want %s", got, test.want)
			}
		})
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	base := newInstallation(t).config
	tests := map[string]func(*Config){
		"Signed without a root": func(c *Config) { c.Trust = channel.TrustSigned },
		"unknown trust":         func(c *Config) { c.Trust = "Maybe" },
		"no namespace":          func(c *Config) { c.Namespace = "" },
		"no API server":         func(c *Config) { c.RESTConfig = nil },
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			config := base
			harm(&config)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := Run(ctx, config); err == nil {
				t.Error("the operator started")
			}
		})
	}
}
