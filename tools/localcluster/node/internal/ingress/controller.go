package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"

	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// settleTime collects the changes that come together, as those of a rolling
	// update do, into one new table.
	settleTime = 20 * time.Millisecond
	// statusTime bounds one write of an Ingress status.
	statusTime = 10 * time.Second
)

// controller turns the cluster's objects into tables.
type controller struct {
	client    kubernetes.Interface
	proxy     *Proxy
	published string
	log       *slog.Logger

	ingresses networkinglisters.IngressLister
	classes   networkinglisters.IngressClassLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	secrets   corelisters.SecretLister

	changed  chan struct{}
	problems map[string]bool
}

// start begins to follow the objects; it returns once the first table is in use.
func (c *controller) start(ctx context.Context) error {
	all := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTransform(slim))
	// Of all Secrets only certificates are wanted here.
	certificates := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTransform(slim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)).String()
		}))
	c.ingresses = all.Networking().V1().Ingresses().Lister()
	c.classes = all.Networking().V1().IngressClasses().Lister()
	c.services = all.Core().V1().Services().Lister()
	c.slices = all.Discovery().V1().EndpointSlices().Lister()
	c.secrets = certificates.Core().V1().Secrets().Lister()
	c.changed = make(chan struct{}, 1)
	for _, informer := range []cache.SharedIndexInformer{
		all.Networking().V1().Ingresses().Informer(),
		all.Networking().V1().IngressClasses().Informer(),
		all.Core().V1().Services().Informer(),
		all.Discovery().V1().EndpointSlices().Informer(),
		certificates.Core().V1().Secrets().Informer(),
	} {
		if _, err := informer.AddEventHandler(c.handler()); err != nil {
			return fmt.Errorf("follow objects: %w", err)
		}
	}
	for _, factory := range []informers.SharedInformerFactory{all, certificates} {
		factory.Start(ctx.Done())
	}
	for _, factory := range []informers.SharedInformerFactory{all, certificates} {
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("read %v: %w", kind, errors.Join(errors.New("ended before the first list"), ctx.Err()))
			}
		}
	}
	return c.rebuild(ctx)
}

func (c *controller) handler() cache.ResourceEventHandler {
	mark := func() {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { mark() },
		UpdateFunc: func(any, any) { mark() },
		DeleteFunc: func(any) { mark() },
	}
}

// follow rebuilds the table after each change until ctx ends.
func (c *controller) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.changed:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleTime):
		}
		if err := c.rebuild(ctx); err != nil {
			return err
		}
	}
}

func (c *controller) rebuild(ctx context.Context) error {
	var o Objects
	var errs [5]error
	everything := labels.Everything()
	o.Ingresses, errs[0] = c.ingresses.List(everything)
	o.Classes, errs[1] = c.classes.List(everything)
	o.Services, errs[2] = c.services.List(everything)
	o.Slices, errs[3] = c.slices.List(everything)
	o.Secrets, errs[4] = c.secrets.List(everything)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	table := Build(o)
	c.proxy.Use(table)
	c.report(table.Problems)
	for _, ingress := range table.Owned {
		if err := c.publish(ctx, ingress); err != nil {
			// The next change tries again; routing does not depend on it.
			c.log.Warn("write Ingress status", "ingress", ingress.Namespace+"/"+ingress.Name, "error", err)
		}
	}
	return nil
}

// report logs each problem once for as long as it lasts.
func (c *controller) report(problems []string) {
	present := make(map[string]bool, len(problems))
	for _, problem := range problems {
		present[problem] = true
		if !c.problems[problem] {
			c.log.Warn("object cannot be used", "problem", problem)
		}
	}
	c.problems = present
}

// publish writes the controller's address to the status, unless it is there.
func (c *controller) publish(ctx context.Context, ingress *networkingv1.Ingress) error {
	if c.published == "" {
		return nil
	}
	current := ingress.Status.LoadBalancer.Ingress
	if len(current) == 1 && current[0].IP == c.published {
		return nil
	}
	next := ingress.DeepCopy()
	next.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: c.published}}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if _, err := c.client.NetworkingV1().Ingresses(next.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update status: %w", err)
	}
	return nil
}

// slim drops what the table never needs from each cached object.
func slim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
