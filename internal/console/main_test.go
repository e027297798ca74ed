package console

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// theAPIServer is started by the first test that needs it, and stopped by TestMain.
var theAPIServer struct {
	once   sync.Once
	env    *envtest.Environment
	config *rest.Config
	err    error
}

func apiServer(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver")
	}
	s := &theAPIServer
	s.once.Do(func() {
		s.env = &envtest.Environment{
			CRDDirectoryPaths:     []string{filepath.Join("..", "..", "charts", "operator", "crds")},
			ErrorIfCRDPathMissing: true,
		}
		s.config, s.err = s.env.Start()
	})
	if s.err != nil {
		t.Fatalf("start API server: %v", s.err)
	}
	return s.config
}

func TestMain(m *testing.M) {
	m.Run()
	if theAPIServer.env != nil {
		_ = theAPIServer.env.Stop()
	}
}
