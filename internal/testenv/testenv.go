// Package testenv gives tests a real API server: etcd and kube-apiserver as processes, with our custom resource installed
// and no controller or kubelet, so that nothing but the test changes an object.
//
// A test package calls Main from its TestMain and Start from its tests; all of them share one server and keep apart by
// namespace. The binaries are found through KUBEBUILDER_ASSETS, which `make test` sets. Where it is not set the tests
// fail rather than skip: what was not run must not look as if it had passed.
package testenv

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AssetsVariable names the folder that holds etcd and kube-apiserver.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// server is the one API server of a test binary. It lives in a variable of the package because a test binary has no other
// place that TestMain and tests share.
var server struct {
	sync.Mutex
	managed     bool
	environment *envtest.Environment
	config      *rest.Config
}

// Main runs the tests of a package, stops the server that they started, and ends the process.
func Main(m *testing.M) {
	server.Lock()
	server.managed = true
	server.Unlock()
	code := m.Run()
	if err := stop(); err != nil {
		slog.Error("the API server of the tests could not be stopped", "error", err)
		code = 1
	}
	os.Exit(code)
}

// Start returns a configuration with all rights on the server of this test binary. The first call starts it.
func Start(t testing.TB) *rest.Config {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.config != nil {
		return rest.CopyConfig(server.config)
	}
	if !server.managed {
		t.Fatal("this package has no TestMain: add func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	if os.Getenv(AssetsVariable) == "" {
		t.Fatalf("%s is not set: run `make test`, or export %s=\"$(go -C tools/localcluster run . assets)\"", AssetsVariable, AssetsVariable)
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(Root(t), "charts", "operator", "crds")},
		ErrorIfCRDPathMissing: true,
		// An API server takes three seconds, unless compilers keep the machine busy.
		ControlPlaneStartTimeout: 3 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	// controller-runtime prints a stack trace where nobody has chosen a log.
	ctrl.SetLogger(logr.Discard())
	config, err := environment.Start()
	if err != nil {
		// What did start would outlive the test.
		t.Fatalf("start an API server from %s: %v", os.Getenv(AssetsVariable), errors.Join(err, environment.Stop()))
	}
	server.environment, server.config = environment, config
	return rest.CopyConfig(config)
}

// As returns a configuration of a user without any right that RBAC does not give him.
func As(t testing.TB, name string, groups ...string) *rest.Config {
	t.Helper()
	Start(t)
	server.Lock()
	defer server.Unlock()
	user, err := server.environment.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		t.Fatalf("add user %s: %v", name, err)
	}
	return user.Config()
}

// Namespace makes a namespace of the test's own and returns its name. It is not removed: without a namespace controller
// it would be terminating for ever.
func Namespace(t testing.TB) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(Start(t))
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	return namespace.Name
}

func stop() error {
	server.Lock()
	defer server.Unlock()
	if server.environment == nil {
		return nil
	}
	if err := server.environment.Stop(); err != nil {
		return fmt.Errorf("stop processes: %w", err)
	}
	return nil
}

// Root is the folder of the module: tests run in the folder of their package. The path that the compiler recorded does not
// tell it in a build with -trimpath.
func Root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no go.mod above the test's folder")
		}
		folder = parent
	}
}
