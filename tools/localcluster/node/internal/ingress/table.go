// Package ingress is a small ingress controller: it follows Ingress objects and
// proxies HTTP to the ready endpoints of their Services.
//
// Bodies are streamed in both directions without a size limit, upgrades and
// event streams pass through, and a connection that a vanished endpoint refuses
// goes to another one.
package ingress

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// ControllerName is what an IngressClass names to be served here.
const ControllerName = "localcluster.kubewandb.dev/ingress"

// Objects is everything from which a Table is made.
type Objects struct {
	Ingresses []*networkingv1.Ingress
	Classes   []*networkingv1.IngressClass
	Services  []*corev1.Service
	Slices    []*discoveryv1.EndpointSlice
	Secrets   []*corev1.Secret
}

// Backend is one Service port with its ready endpoints.
type Backend struct {
	// Name is namespace/service:port, for messages.
	Name string
	// Problem says why there can be no endpoint, where that is known.
	Problem   string
	endpoints []string
	turn      atomic.Uint32
}

// Endpoints returns every ready endpoint, starting at another one each time.
func (b *Backend) Endpoints() []string {
	n := len(b.endpoints)
	if n == 0 {
		return nil
	}
	first := int(b.turn.Add(1)) % n
	return append(slices.Clone(b.endpoints[first:]), b.endpoints[:first]...)
}

// rule is one path of one host.
type rule struct {
	path    string
	exact   bool
	backend *Backend
}

// Table answers where a request goes and which certificate a name gets. It is
// never changed after it was built.
type Table struct {
	// rules by host: "" is any host, "*.example.test" one more label.
	rules        map[string][]rule
	fallback     *Backend
	certificates map[string]*tls.Certificate
	// Owned are the Ingress objects that this controller serves.
	Owned []*networkingv1.Ingress
	// Problems are mistakes in the objects, for the log.
	Problems []string
}

// Build makes the table of the objects.
func Build(objects Objects) *Table {
	b := builder{
		table:    &Table{rules: map[string][]rule{}, certificates: map[string]*tls.Certificate{}},
		backends: map[string]*Backend{},
		services: map[string]*corev1.Service{},
		slices:   map[string][]*discoveryv1.EndpointSlice{},
		secrets:  map[string]*corev1.Secret{},
	}
	for _, service := range objects.Services {
		b.services[service.Namespace+"/"+service.Name] = service
	}
	for _, slice := range objects.Slices {
		key := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		b.slices[key] = append(b.slices[key], slice)
	}
	for _, secret := range objects.Secrets {
		b.secrets[secret.Namespace+"/"+secret.Name] = secret
	}
	owned := owned(objects.Ingresses, objects.Classes)
	// Where two objects claim the same path the older one keeps it.
	slices.SortFunc(owned, func(x, y *networkingv1.Ingress) int {
		return cmp.Or(
			x.CreationTimestamp.Compare(y.CreationTimestamp.Time),
			cmp.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name))
	})
	for _, ingress := range owned {
		b.add(ingress)
	}
	for host := range b.table.rules {
		// Exact before prefix, long before short; stable, so age decides a tie.
		slices.SortStableFunc(b.table.rules[host], func(x, y rule) int {
			if x.exact != y.exact {
				if x.exact {
					return -1
				}
				return 1
			}
			return cmp.Compare(len(y.path), len(x.path))
		})
	}
	b.table.Owned = owned
	return b.table
}

// Match returns the backend of a request, or nil.
func (t *Table) Match(host, path string) *Backend {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, candidate := range []string{host, wildcard(host), ""} {
		for _, r := range t.rules[candidate] {
			if r.matches(path) {
				return r.backend
			}
		}
		if host == "" {
			break
		}
	}
	return t.fallback
}

// Certificate returns the certificate of a server name, or nil.
func (t *Table) Certificate(name string) *tls.Certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if found := t.certificates[name]; found != nil {
		return found
	}
	return t.certificates[wildcard(name)]
}

// matches compares whole path elements: /api covers /api and /api/x, not /apix.
func (r rule) matches(path string) bool {
	if r.exact {
		return path == r.path
	}
	prefix := strings.TrimSuffix(r.path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/") || prefix == ""
}

// wildcard is the pattern that covers the name: its first label replaced.
func wildcard(name string) string {
	_, parent, ok := strings.Cut(name, ".")
	if !ok {
		return "*"
	}
	return "*." + parent
}

// owned picks the objects whose class leads here: the named class, or, for an
// object without one, the default class.
func owned(ingresses []*networkingv1.Ingress, classes []*networkingv1.IngressClass) []*networkingv1.Ingress {
	const legacyAnnotation = "kubernetes.io/ingress.class"
	ours := map[string]bool{}
	defaultOurs := false
	for _, class := range classes {
		if class.Spec.Controller != ControllerName {
			continue
		}
		ours[class.Name] = true
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			defaultOurs = true
		}
	}
	var picked []*networkingv1.Ingress
	for _, ingress := range ingresses {
		name := ingress.Annotations[legacyAnnotation]
		if ingress.Spec.IngressClassName != nil {
			name = *ingress.Spec.IngressClassName
		}
		if ingress.DeletionTimestamp == nil && (ours[name] || (name == "" && defaultOurs)) {
			picked = append(picked, ingress)
		}
	}
	return picked
}

type builder struct {
	table    *Table
	backends map[string]*Backend
	services map[string]*corev1.Service
	slices   map[string][]*discoveryv1.EndpointSlice
	secrets  map[string]*corev1.Secret
}

func (b *builder) add(ingress *networkingv1.Ingress) {
	if ingress.Spec.DefaultBackend != nil && b.table.fallback == nil {
		b.table.fallback = b.backend(ingress.Namespace, ingress.Spec.DefaultBackend)
	}
	for _, hostRule := range ingress.Spec.Rules {
		if hostRule.HTTP == nil {
			continue
		}
		host := strings.ToLower(hostRule.Host)
		for i := range hostRule.HTTP.Paths {
			path := &hostRule.HTTP.Paths[i]
			b.table.rules[host] = append(b.table.rules[host], rule{
				path:    cmp.Or(path.Path, "/"),
				exact:   path.PathType != nil && *path.PathType == networkingv1.PathTypeExact,
				backend: b.backend(ingress.Namespace, &path.Backend),
			})
		}
	}
	for _, entry := range ingress.Spec.TLS {
		b.addCertificate(ingress, entry)
	}
}

func (b *builder) addCertificate(ingress *networkingv1.Ingress, entry networkingv1.IngressTLS) {
	if entry.SecretName == "" {
		return
	}
	key := ingress.Namespace + "/" + entry.SecretName
	secret := b.secrets[key]
	if secret == nil {
		b.problem("Ingress %s/%s names TLS Secret %s, which does not exist or is not of type kubernetes.io/tls", ingress.Namespace, ingress.Name, key)
		return
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		b.problem("TLS Secret %s holds no usable pair: %v", key, err)
		return
	}
	names := entry.Hosts
	if len(names) == 0 {
		names = pair.Leaf.DNSNames
	}
	for _, name := range names {
		name = strings.ToLower(name)
		if b.table.certificates[name] == nil {
			b.table.certificates[name] = &pair
		}
	}
}

// backend resolves a Service port to its ready endpoints. The result is shared
// between rules, so that they take turns together.
func (b *builder) backend(namespace string, ref *networkingv1.IngressBackend) *Backend {
	if ref.Service == nil {
		return &Backend{Name: namespace, Problem: "its backend is not a Service"}
	}
	port := cmp.Or(ref.Service.Port.Name, strconv.Itoa(int(ref.Service.Port.Number)))
	name := fmt.Sprintf("%s/%s:%s", namespace, ref.Service.Name, port)
	if known := b.backends[name]; known != nil {
		return known
	}
	made := &Backend{Name: name}
	b.backends[name] = made
	key := namespace + "/" + ref.Service.Name
	service := b.services[key]
	if service == nil {
		made.Problem = "the Service does not exist"
		return made
	}
	at := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Name == ref.Service.Port.Name && p.Name != "" || p.Port == ref.Service.Port.Number
	})
	if at < 0 {
		made.Problem = "the Service has no such port"
		return made
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		// The node has no way out, but a name in the cluster may be meant.
		made.endpoints = []string{net.JoinHostPort(service.Spec.ExternalName, strconv.Itoa(int(service.Spec.Ports[at].Port)))}
		return made
	}
	made.endpoints = ready(b.slices[key], service.Spec.Ports[at].Name)
	if len(made.endpoints) == 0 {
		made.Problem = "the Service has no ready endpoint"
	}
	return made
}

func (b *builder) problem(format string, args ...any) {
	b.table.Problems = append(b.table.Problems, fmt.Sprintf(format, args...))
}

// ready lists the addresses that may get traffic on the named port, sorted.
func ready(endpointSlices []*discoveryv1.EndpointSlice, port string) []string {
	var found []string
	for _, slice := range endpointSlices {
		for _, p := range slice.Ports {
			if p.Port == nil || (p.Name != nil && *p.Name != port) || (p.Name == nil && port != "") {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
					continue
				}
				for _, address := range endpoint.Addresses {
					found = append(found, net.JoinHostPort(address, strconv.Itoa(int(*p.Port))))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
