package kubectl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/version"
)

const (
	// requestTime bounds one request to the API server; --request-timeout may set another bound.
	requestTime = 30 * time.Second
	// fieldManager owns what this program writes.
	fieldManager = "kubectl-wandb"
	// maxListed bounds a list of resources.
	maxListed = 500
)

// Names of the Secrets beside a resource, after its own name.
const (
	userSuffix    = "-spec-user"
	activeSuffix  = "-spec-active"
	planSuffix    = "-plan"
	channelSuffix = "-latest-cached-release"
)

// plugin is one command line: its flags, and the cluster once it is connected.
type plugin struct {
	streams Streams
	flags   *genericclioptions.ConfigFlags
	output  string

	config    *rest.Config
	client    client.WithWatch
	namespace string
}

func (p *plugin) paint() paint { return paint(p.streams.Color) }

// connect finds the cluster. Calling it again does nothing.
func (p *plugin) connect() error {
	if p.client != nil {
		return nil
	}
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config = rest.CopyConfig(config)
	config.UserAgent = version.UserAgent("kubectl-wandb")
	config.WarningHandler = rest.NoWarnings{}
	if p.streams.Wrap != nil {
		config.Wrap(p.streams.Wrap)
	}
	if p.namespace, _, err = p.flags.ToRawKubeConfigLoader().Namespace(); err != nil {
		return fmt.Errorf("read namespace of kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("know kinds: %w", err)
	}
	p.config = config
	p.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	return nil
}

// helm makes a client of Helm's storage.
func (p *plugin) helm() (*helm.Client, error) {
	if err := p.connect(); err != nil {
		return nil, err
	}
	return helm.New(helm.Config{RESTConfig: p.config})
}

// resource reads the resource called name; an empty name means the only one of the namespace.
func (p *plugin) resource(ctx context.Context, name string) (*appsv1.WeightsAndBiases, error) {
	if err := p.connect(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if name == "" {
		return p.only(ctx)
	}
	found := &appsv1.WeightsAndBiases{}
	err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err) && !meta.IsNoMatchError(err):
		return nil, &fault.Error{
			Reason: "ResourceNotFound", Op: fmt.Sprintf("find WeightsAndBiases %s in namespace %s", name, p.namespace),
			Err: errors.New("it does not exist"), Hint: `"kubectl get wandb -A" lists all of them; choose a namespace with -n.`,
		}
	case err != nil:
		return nil, fmt.Errorf("read WeightsAndBiases %s: %w", name, err)
	}
	return found, nil
}

func (p *plugin) only(ctx context.Context) (*appsv1.WeightsAndBiases, error) {
	list := &appsv1.WeightsAndBiasesList{}
	if err := p.client.List(ctx, list, client.InNamespace(p.namespace), client.Limit(maxListed)); err != nil {
		return nil, fmt.Errorf("list WeightsAndBiases of namespace %s: %w", p.namespace, err)
	}
	switch len(list.Items) {
	case 1:
		return &list.Items[0], nil
	case 0:
		return nil, &fault.Error{
			Reason: "ResourceNotFound", Op: "find the WeightsAndBiases of namespace " + p.namespace, Err: errors.New("there is none"),
			Hint: `"kubectl get wandb -A" lists all of them; choose a namespace with -n.`,
		}
	}
	return nil, &fault.Error{
		Reason: "ResourceAmbiguous", Op: "find the WeightsAndBiases of namespace " + p.namespace,
		Err: fmt.Errorf("there are %d", len(list.Items)), Hint: "Name one of them: " + strings.Join(namesOf(list), ", ") + ".",
	}
}

func namesOf(list *appsv1.WeightsAndBiasesList) []string {
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	slices.Sort(names)
	return names
}

// names lists the resources of the namespace for a shell's completion, which has no use for errors.
func (p *plugin) names(ctx context.Context) []string {
	if p.connect() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list := &appsv1.WeightsAndBiasesList{}
	if p.client.List(ctx, list, client.InNamespace(p.namespace), client.Limit(maxListed)) != nil {
		return nil
	}
	return namesOf(list)
}

// secret reads a Secret beside the resource; nil where there is none.
func (p *plugin) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	secret := &corev1.Secret{}
	err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return secret, nil
}

// caller returns the name by which the API server knows whoever runs this program.
func (p *plugin) caller(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	review := &authenticationv1.SelfSubjectReview{}
	if err := p.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask the API server who is calling: %w", err)
	}
	if review.Status.UserInfo.Username == "" {
		return "", errors.New("ask the API server who is calling: it gives no name")
	}
	return review.Status.UserInfo.Username, nil
}

// explained gives errors of the API server a hint, where they have none of ours.
func explained(err error) error {
	if fault.Hint(err) != "" {
		return err
	}
	var network net.Error
	switch {
	case meta.IsNoMatchError(err):
		return &fault.Error{
			Reason: "DefinitionMissing", Op: "find the kind WeightsAndBiases", Err: errors.New("the cluster does not know it"),
			Hint: "Install the operator's chart, or choose another cluster with --context.",
		}
	case apierrors.IsForbidden(err):
		return &fault.Error{
			Reason: "Forbidden", Op: "ask the API server", Err: err,
			Hint: `"kubectl auth can-i --list" shows what you may do; docs/reference/kubectl-wandb.md lists what each command needs.`,
		}
	case apierrors.IsUnauthorized(err):
		return &fault.Error{
			Reason: "Unauthorized", Op: "ask the API server", Err: err, Hint: "Sign in to the cluster again, or choose another --context.",
		}
	case clientcmd.IsEmptyConfig(err), clientcmd.IsConfigurationInvalid(err), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return &fault.Error{
			Reason: "Unreachable", Op: "reach the cluster", Err: err, Hint: "Choose the cluster with --context or --kubeconfig, and check that it answers: kubectl version.",
		}
	}
	return err
}
