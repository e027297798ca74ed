package operator

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/notify"
	"github.com/kubewandb/kubewandb/internal/version"
)

// LeaderElectionID is the name of the Lease that today's operator uses too, so that the two never act at once.
const LeaderElectionID = "3009dfa6.apps.wandb.com"

// DefaultPeriod is how often a resource is looked at when nothing happens. Values key reconcileFrequency replaces it.
const DefaultPeriod = time.Hour

// DefaultConcurrency is how many releases are worked on at a time. Each adds a chart and its manifests to the memory of the
// process while it lasts, which is a few megabytes for a small chart and some tens for W&B Server.
const DefaultConcurrency = 10

// maxConcurrency bounds what a typing mistake can ask of the API server.
const maxConcurrency = 100

// Config of Run.
type Config struct {
	// RESTConfig reaches the API server.
	RESTConfig *rest.Config
	Logger     logr.Logger

	// Namespace and Pod are those of the operator itself.
	Namespace, Pod string
	// Release is the name of the Helm release that installed the operator, for hints. Empty means "operator".
	Release string

	// WatchNamespaces lists the namespaces where the operator has rights. Empty means Namespace alone.
	WatchNamespaces []string
	// Isolated tells that the operator may not even read custom resources elsewhere.
	Isolated bool

	// ChannelURL is the base URL of the deploy server; empty means channel.DefaultBaseURL.
	ChannelURL string
	// Trust is what the deploy server's answers have to prove; empty means channel.TrustTLS.
	Trust channel.Trust
	// Verifier is required with channel.TrustSigned.
	Verifier channel.Verifier
	// Airgapped never asks the deploy server.
	Airgapped bool
	// Keys verify licences; nil knows no issuer.
	Keys *license.KeySet

	// ChartsDir, ChartSources and CacheDir are those of helm.Config.
	ChartsDir    string
	ChartSources []string
	CacheDir     string
	// ClusterKinds lists kinds that charts may make outside the namespace of their release.
	ClusterKinds []string

	// NotifyURLFile holds the URL of a webhook that is told about changes of state; empty tells nobody. It is read before
	// each request, so that a rotated URL counts at once.
	NotifyURLFile string
	// NotifyKeyFile holds the key that notifications are signed with; empty signs nothing.
	NotifyKeyFile string
	// NotifyKinds are the kinds of notifications that are sent; empty means all.
	NotifyKinds []string

	// MetricsAddress and ProbeAddress are listened on; "0" turns either off.
	MetricsAddress, ProbeAddress string
	// ProfileAddress serves profiles of the process, which show its memory: loopback addresses only. Empty turns it off.
	ProfileAddress string
	LeaderElect    bool

	// Concurrency is how many releases are worked on at a time. Zero means DefaultConcurrency.
	Concurrency int
}

// settle fills in defaults and refuses what cannot work.
func (c *Config) settle() error {
	if c.RESTConfig == nil {
		return errors.New("start operator: no REST configuration")
	}
	if c.Namespace == "" {
		return &fault.Error{
			Reason: "ConfigInvalid", Op: "start operator: its own namespace is not known",
			Hint: "Set OPERATOR_NAMESPACE.",
		}
	}
	c.WatchNamespaces = Namespaces(strings.Join(c.WatchNamespaces, ","))
	if len(c.WatchNamespaces) == 0 {
		c.WatchNamespaces = []string{c.Namespace}
	}
	if c.Release == "" {
		c.Release = "operator"
	}
	if err := c.settleProcess(); err != nil {
		return err
	}
	switch c.Trust {
	case "":
		c.Trust = channel.TrustTLS
	case channel.TrustTLS:
	case channel.TrustSigned:
		if c.Verifier == nil {
			return &fault.Error{
				Reason: "TrustInvalid", Op: "start operator: channel trust Signed has nothing to verify signatures with",
				Hint: "Give the publisher's root.json in CHANNEL_ROOT_FILE (chart value channel.root), or set CHANNEL_TRUST=TLS. Signed never falls back by itself.",
			}
		}
	default:
		return &fault.Error{
			Reason: "TrustInvalid", Op: fmt.Sprintf("start operator: channel trust %q is not known", c.Trust),
			Hint: "Set CHANNEL_TRUST to TLS or Signed.",
		}
	}
	return c.settleNotices()
}

// settleNotices refuses what would keep every notification from being sent. A file that is not readable now may be later:
// the operator starts, and each notification tells in the log.
func (c *Config) settleNotices() error {
	if _, err := notify.ParseKinds(c.NotifyKinds); err != nil {
		return fmt.Errorf("start operator: %w", err)
	}
	if c.NotifyURLFile == "" && c.NotifyKeyFile != "" {
		return &fault.Error{
			Reason: notify.ReasonConfigInvalid, Op: "start operator: there is a key for notifications and no webhook to send them to",
			Hint: "Set NOTIFY_URL_FILE (chart value notifications.secretName), or unset NOTIFY_KEY_FILE.",
		}
	}
	return nil
}

// notices makes what sends notifications; nil where nobody is to be told. What came of each is reported to report.
func (c *Config) notices(report func(notify.Kind, notify.Outcome)) (*notify.Sender, error) {
	if c.NotifyURLFile == "" {
		return nil, nil
	}
	kinds, err := notify.ParseKinds(c.NotifyKinds)
	if err != nil {
		return nil, err // a fault that says it all
	}
	options := notify.Options{
		URL: notify.URLFile(c.NotifyURLFile), Kinds: kinds, UserAgent: version.UserAgent(program), Report: report,
		Logger: slog.New(logr.ToSlogHandler(c.Logger.WithName("notify"))),
	}
	if c.NotifyKeyFile != "" {
		options.Key = notify.KeyFile(c.NotifyKeyFile)
	}
	return notify.New(options), nil
}

// settleProcess checks what concerns the process rather than resources.
func (c *Config) settleProcess() error {
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		return &fault.Error{
			Reason: "ConfigInvalid", Op: fmt.Sprintf("start operator: a concurrency of %d is not possible", c.Concurrency),
			Hint: fmt.Sprintf("Set CONCURRENCY (chart value concurrency) to a number from 1 to %d.", maxConcurrency),
		}
	}
	if c.ProfileAddress != "" && !isLoopback(c.ProfileAddress) {
		return &fault.Error{
			Reason: "ConfigInvalid", Op: fmt.Sprintf("start operator: profiles may not be served on %q", c.ProfileAddress),
			Hint: "Set PROFILE_BIND_ADDRESS to an address like 127.0.0.1:6060, and reach it with `kubectl port-forward`.",
		}
	}
	return nil
}

// isLoopback tells addresses that nothing outside the pod reaches.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// Namespaces reads a comma-separated list; spaces, empty entries and repetitions are dropped.
func Namespaces(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
