package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestF1NoServiceAccountOfOursHoldsMoreThanItsNamespace asks the API server about each of our ServiceAccounts.
func TestF1NoServiceAccountOfOursHoldsMoreThanItsNamespace(t *testing.T) {
	questions := [][]string{
		{"list", "secrets", "--all-namespaces"},
		{"get", "nodes"},
		{"escalate", "roles.rbac.authorization.k8s.io"},
		{"bind", "roles.rbac.authorization.k8s.io"},
		{"escalate", "clusterroles.rbac.authorization.k8s.io"},
		{"bind", "clusterroles.rbac.authorization.k8s.io"},
		{"impersonate", "users"},
		{"impersonate", "serviceaccounts"},
		{"get", "secrets", "--namespace=kube-system"},
	}
	asked := 0
	for _, ns := range []string{namespace, "deploy"} {
		for account := range strings.FieldsSeq(shell(t, "kubectl", "get", "serviceaccounts", "-n", ns, "-o", "jsonpath={.items[*].metadata.name}")) {
			asked++
			for _, question := range questions {
				arguments := append([]string{"auth", "can-i", "--as", "system:serviceaccount:" + ns + ":" + account}, question...)
				answer, err := try(t.Context(), "", "kubectl", arguments...)
				if strings.TrimSpace(answer) != "no" {
					t.Errorf("may %s/%s %s? %s (%v), want no", ns, account, strings.Join(question, " "), answer, err)
				}
			}
		}
	}
	if asked < 4 {
		t.Errorf("only %d ServiceAccounts were asked: ours are missing", asked)
	}
}

// idleMemoryLimit is the promise for a controller-manager with one custom resource and nothing to do.
const idleMemoryLimit = 60 << 20

func TestF2TheIdleOperatorIsSmall(t *testing.T) {
	var summary struct {
		Pods []struct {
			PodRef     struct{ Name, Namespace string }
			Containers []struct {
				Name   string
				Memory struct {
					RSSBytes int64 `json:"rssBytes"`
				}
			}
		}
	}
	node := strings.TrimSpace(shell(t, "kubectl", "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"))
	found := false
	eventually(t, time.Minute, func() string {
		decode(t, shell(t, "kubectl", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary"), &summary)
		for _, p := range summary.Pods {
			if p.PodRef.Namespace != namespace || !strings.HasPrefix(p.PodRef.Name, "controller-manager") {
				continue
			}
			for _, container := range p.Containers {
				found = container.Memory.RSSBytes > 0
				t.Logf("RSS of %s: %.1f MiB", p.PodRef.Name, float64(container.Memory.RSSBytes)/(1<<20))
				if container.Memory.RSSBytes > idleMemoryLimit {
					t.Errorf("%s uses %d bytes, want under %d", p.PodRef.Name, container.Memory.RSSBytes, idleMemoryLimit)
				}
			}
		}
		if !found {
			return "the kubelet has no figure for the controller-manager yet"
		}
		return ""
	})
}

// quiet is how long nothing may be written. Leases are how leader election works and are left out.
const quiet = 45 * time.Second

// TestF3NothingIsWrittenWhenNothingChanges counts our writes in the API server's audit log.
func TestF3NothingIsWrittenWhenNothingChanges(t *testing.T) {
	awaitCondition(t, time.Minute, "Ready", "True", "")
	log := auditLog(t)
	info, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	<-timer.C
	// A write of the test's own shows that the log would have told.
	shell(t, "kubectl", "create", "configmap", "audit-witness")
	shell(t, "kubectl", "delete", "configmap", "audit-witness")

	file, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(info.Size(), 0); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	witnessed := false
	for scanner.Scan() {
		var e struct {
			Verb       string
			RequestURI string
			User       struct{ Username string }
			ObjectRef  struct{ Resource, Subresource, Name, Namespace string }
		}
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			continue // the line being written
		}
		witnessed = witnessed || e.ObjectRef.Name == "audit-witness"
		ours := strings.HasPrefix(e.User.Username, "system:serviceaccount:"+namespace+":")
		writes := strings.Contains(" create update patch delete deletecollection ", " "+e.Verb+" ")
		rehearsed := strings.Contains(e.RequestURI, "dryRun=All") // the look for drift, of which nothing is stored
		if ours && writes && !rehearsed && e.ObjectRef.Resource != "leases" {
			t.Errorf("%s %s by %s", e.Verb, e.RequestURI, e.User.Username)
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	if !witnessed {
		t.Error("the audit log does not hold the test's own write: it can't show that nothing else was written")
	}
}

// auditLog returns the API server's audit log of this suite's cluster, which lies beside its kubeconfig.
func auditLog(t *testing.T) string {
	t.Helper()
	exports, err := parseExports(shell(t, "localcluster", "--name", clusterName, "env"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(exports["KUBECONFIG"]), "logs", "audit.log")
}
