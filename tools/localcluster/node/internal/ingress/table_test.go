package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func class(name, controller string, isDefault bool) *networkingv1.IngressClass {
	c := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
	if isDefault {
		c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
	}
	return c
}

func ours() []*networkingv1.IngressClass {
	return []*networkingv1.IngressClass{class("local", ControllerName, true)}
}

// path is host, path, type and service of one rule.
type path struct {
	host, path string
	kind       networkingv1.PathType
	service    string
}

func ingressOf(name string, age time.Duration, paths ...path) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age)),
	}}
	for _, p := range paths {
		i.Spec.Rules = append(i.Spec.Rules, networkingv1.IngressRule{
			Host: p.host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: p.path, PathType: &p.kind, Backend: backendOf(p.service),
			}}}},
		})
	}
	return i
}

func backendOf(service string) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
		Name: service, Port: networkingv1.ServiceBackendPort{Number: 80},
	}}
}

func TestMatch(t *testing.T) {
	const exact, prefix = networkingv1.PathTypeExact, networkingv1.PathTypePrefix
	table := Build(Objects{Classes: ours(), Ingresses: []*networkingv1.Ingress{ingressOf("a", 0,
		path{"a.test", "/", prefix, "root"},
		path{"a.test", "/api", prefix, "api"},
		path{"a.test", "/api/", prefix, "slash"},
		path{"a.test", "/api/v1", prefix, "v1"},
		path{"a.test", "/api", exact, "exact"},
		path{"*.a.test", "/", prefix, "wild"},
		path{"b.test", "/only", prefix, "only"},
		path{"", "/any", prefix, "any"},
		path{"C.Test", "", networkingv1.PathTypeImplementationSpecific, "case"},
	)}})
	for request, want := range map[string]string{
		"a.test/":          "root",
		"a.test/apix":      "root",
		"a.test/api":       "exact",
		"a.test/api/":      "slash",
		"a.test/api/x":     "slash",
		"a.test/api/v1":    "v1",
		"a.test/api/v1/x":  "v1",
		"a.test/api/v10":   "slash",
		"A.TEST./api/v1":   "v1",
		"x.a.test/":        "wild",
		"x.y.a.test/":      "",
		"b.test/only/x":    "only",
		"b.test/any/x":     "any",
		"b.test/":          "",
		"unknown.test/any": "any",
		"/any":             "any",
		"c.test/x":         "case",
	} {
		host, rest, _ := strings.Cut(request, "/")
		got := ""
		if b := table.Match(host, "/"+rest); b != nil {
			got = strings.TrimSuffix(strings.TrimPrefix(b.Name, "default/"), ":80")
		}
		if got != want {
			t.Errorf("Match(%s) = %q, want %q", request, got, want)
		}
	}
}

func TestClassDecidesOwnership(t *testing.T) {
	named := func(name string) *networkingv1.Ingress {
		i := ingressOf(name, 0)
		i.Spec.IngressClassName = &name
		return i
	}
	annotated := ingressOf("annotated", 0)
	annotated.Annotations = map[string]string{"kubernetes.io/ingress.class": "local"}
	deleted := ingressOf("deleted", 0)
	deleted.DeletionTimestamp = &metav1.Time{}
	all := []*networkingv1.Ingress{named("local"), named("nginx"), named("absent"), ingressOf("none", 0), annotated, deleted}
	for name, test := range map[string]struct {
		classes []*networkingv1.IngressClass
		want    []string
	}{
		"ours is the default":    {ours(), []string{"annotated", "local", "none"}},
		"ours is not":            {[]*networkingv1.IngressClass{class("local", ControllerName, false)}, []string{"annotated", "local"}},
		"another is the default": {append(ours()[:0:0], class("local", ControllerName, false), class("nginx", "x", true)), []string{"annotated", "local"}},
		"no class":               {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, i := range Build(Objects{Ingresses: all, Classes: test.classes}).Owned {
				got = append(got, i.Name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("owned = %v, want %v", got, test.want)
			}
		})
	}
}

func TestOlderIngressKeepsAPath(t *testing.T) {
	young := ingressOf("a-young", 0, path{"a.test", "/", networkingv1.PathTypePrefix, "young"})
	old := ingressOf("z-old", time.Hour, path{"a.test", "/", networkingv1.PathTypePrefix, "old"})
	table := Build(Objects{Classes: ours(), Ingresses: []*networkingv1.Ingress{young, old}})
	if got := table.Match("a.test", "/").Name; got != "default/old:80" {
		t.Errorf("Match = %s", got)
	}
}

func TestDefaultBackendTakesTheRest(t *testing.T) {
	i := ingressOf("a", 0, path{"a.test", "/x", networkingv1.PathTypePrefix, "x"})
	rest := backendOf("rest")
	i.Spec.DefaultBackend = &rest
	table := Build(Objects{Classes: ours(), Ingresses: []*networkingv1.Ingress{i}})
	if got := table.Match("a.test", "/y"); got == nil || got.Name != "default/rest:80" {
		t.Errorf("Match = %+v", got)
	}
}

func service(name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{Ports: ports}}
}

func slice(service, port string, number int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Ports:      []discoveryv1.EndpointPort{{Name: &port, Port: &number}},
		Endpoints:  endpoints,
	}
}

func endpoint(address string, ready *bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
}

func TestBackendResolvesToReadyEndpoints(t *testing.T) {
	yes, no := true, false
	web := corev1.ServicePort{Name: "web", Port: 80, TargetPort: intstr.FromInt32(8080)}
	admin := corev1.ServicePort{Name: "admin", Port: 81}
	for name, test := range map[string]struct {
		port     networkingv1.ServiceBackendPort
		services []*corev1.Service
		slices   []*discoveryv1.EndpointSlice
		want     []string
		problem  string
	}{
		"by number": {
			networkingv1.ServiceBackendPort{Number: 80}, []*corev1.Service{service("s", admin, web)},
			[]*discoveryv1.EndpointSlice{slice("s", "web", 8080, endpoint("10.0.0.2", &yes), endpoint("10.0.0.1", nil)), slice("s", "admin", 9, endpoint("10.0.0.9", &yes))},
			[]string{"10.0.0.1:8080", "10.0.0.2:8080"}, "",
		},
		"by name": {
			networkingv1.ServiceBackendPort{Name: "admin"}, []*corev1.Service{service("s", web, admin)},
			[]*discoveryv1.EndpointSlice{slice("s", "admin", 9, endpoint("10.0.0.9", &yes))},
			[]string{"10.0.0.9:9"}, "",
		},
		"the same endpoint in two slices": {
			networkingv1.ServiceBackendPort{Number: 80}, []*corev1.Service{service("s", web)},
			[]*discoveryv1.EndpointSlice{slice("s", "web", 1, endpoint("10.0.0.1", &yes)), slice("s", "web", 1, endpoint("10.0.0.1", &yes))},
			[]string{"10.0.0.1:1"}, "",
		},
		"none ready": {
			networkingv1.ServiceBackendPort{Number: 80}, []*corev1.Service{service("s", web)},
			[]*discoveryv1.EndpointSlice{slice("s", "web", 1, endpoint("10.0.0.1", &no))}, nil, "no ready endpoint",
		},
		"no Service": {networkingv1.ServiceBackendPort{Number: 80}, nil, nil, nil, "does not exist"},
		"no port":    {networkingv1.ServiceBackendPort{Number: 82}, []*corev1.Service{service("s", web)}, nil, nil, "no such port"},
	} {
		t.Run(name, func(t *testing.T) {
			i := ingressOf("a", 0, path{"a.test", "/", networkingv1.PathTypePrefix, "s"})
			i.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port = test.port
			b := Build(Objects{Classes: ours(), Ingresses: []*networkingv1.Ingress{i}, Services: test.services, Slices: test.slices}).Match("a.test", "/")
			got := b.Endpoints()
			slices.Sort(got)
			if !slices.Equal(got, test.want) || !strings.Contains(b.Problem, test.problem) {
				t.Errorf("endpoints = %v, problem %q; want %v, %q", got, b.Problem, test.want, test.problem)
			}
		})
	}
}

func TestEndpointsTakeTurns(t *testing.T) {
	b := &Backend{endpoints: []string{"a", "b", "c"}}
	first := map[string]int{}
	for range 6 {
		got := b.Endpoints()
		first[got[0]]++
		if len(got) != 3 {
			t.Fatalf("Endpoints = %v", got)
		}
	}
	for _, e := range b.endpoints {
		if first[e] != 2 {
			t.Errorf("%s came first %d times of 6", e, first[e])
		}
	}
}

// tlsSecret is a Secret with a self-signed pair for the names.
func tlsSecret(t *testing.T, name string, names ...string) *corev1.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}}
}

func TestCertificateByName(t *testing.T) {
	i := ingressOf("a", 0)
	i.Spec.TLS = []networkingv1.IngressTLS{
		{Hosts: []string{"A.test"}, SecretName: "a"},
		{SecretName: "wild"},
		{Hosts: []string{"broken.test"}, SecretName: "broken"},
		{Hosts: []string{"missing.test"}, SecretName: "missing"},
		{Hosts: []string{"default.test"}},
	}
	broken := tlsSecret(t, "broken", "broken.test")
	broken.Data[corev1.TLSPrivateKeyKey] = []byte("no key")
	table := Build(Objects{Classes: ours(), Ingresses: []*networkingv1.Ingress{i}, Secrets: []*corev1.Secret{
		tlsSecret(t, "a", "other.test"), tlsSecret(t, "wild", "*.w.test"), broken,
	}})
	for name, want := range map[string]bool{
		"a.test": true, "A.TEST": true, "x.w.test": true, "x.y.w.test": false,
		"broken.test": false, "missing.test": false, "default.test": false, "": false,
	} {
		if got := table.Certificate(name) != nil; got != want {
			t.Errorf("Certificate(%q) found: %v, want %v", name, got, want)
		}
	}
	if len(table.Problems) != 2 {
		t.Errorf("problems = %q, want one each for the broken and the missing Secret", table.Problems)
	}
}
