// Package bench measures an operator from outside: a real API server and etcd, the operator as a process of its own, and
// a watch that sees the last resource become Ready. `make bench RUN=Operator` runs it; nothing here is a test.
//
// What is measured is a parameter, so that another operator runs through the same clock:
//
//	BENCH_COMMAND      shell command that runs the operator; empty builds and runs cmd/controller-manager. It finds
//	                   KUBECONFIG, BENCH_NAMESPACE, BENCH_CHARTS (a folder with app.tgz) and BENCH_CONCURRENCY in its
//	                   environment
//	BENCH_READY_URL    answers 200 once the operator works; empty is that of our own
//	BENCH_TEMPLATE     file with the custom resource, a Go template over .Namespace, .Name and .Chart
//	BENCH_CRDS         folder with the definitions that the operator needs; empty means our own
//	BENCH_CONCURRENCY  releases at a time, and workers that create resources; 10 where empty
//	BENCH_AUDIT        file that receives what was requested, counted by verb and resource
//	BENCH_PROFILE      folder that receives profiles of CPU and memory of our own operator
package bench

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

const (
	// patience is how long a run may take: the slowest operator known takes seven minutes for 1,000 resources.
	patience = 20 * time.Minute
	// settle is what a started operator gets before the clock starts.
	settle = 3 * time.Second
	// idleTime is how long an idle operator is watched.
	idleTime = 30 * time.Second
)

// ours is the resource of our own operator.
const ours = `apiVersion: apps.wandb.com/v1
kind: WeightsAndBiases
metadata: {namespace: {{ .Namespace }}, name: {{ .Name }}}
spec:
  chart: {path: {{ .Chart }}}
  values: {color: blue}
`

// parameters are what the environment says.
type parameters struct {
	command, readyURL, template, crds string
	concurrency                       int
	audit, profile                    string
}

func readParameters(b *testing.B) parameters {
	b.Helper()
	p := parameters{
		command: os.Getenv("BENCH_COMMAND"), readyURL: os.Getenv("BENCH_READY_URL"), template: ours,
		crds:  cmp.Or(os.Getenv("BENCH_CRDS"), filepath.Join(testenv.Root(b), "charts", "operator", "crds")),
		audit: os.Getenv("BENCH_AUDIT"), profile: os.Getenv("BENCH_PROFILE"),
	}
	var err error
	p.concurrency, err = strconv.Atoi(cmp.Or(os.Getenv("BENCH_CONCURRENCY"), "10"))
	must(b, err)
	if file := os.Getenv("BENCH_TEMPLATE"); file != "" {
		text, err := os.ReadFile(file)
		must(b, err)
		p.template = string(text)
	}
	return p
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOperator measures from the first create to the last Ready. The run with 1,000 resources takes longer than the
// others together, so it has to be asked for: make bench RUN=Operator/1000.
func BenchmarkOperator(b *testing.B) {
	for _, count := range []int{100, 1000} {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			if count > 100 && !strings.Contains(flag.Lookup("test.bench").Value.String(), strconv.Itoa(count)) {
				b.Skipf("ask for it by name: make bench RUN=Operator/%d", count)
			}
			for range b.N {
				s := newScene(b)
				s.run(count)
				s.close()
			}
		})
	}
	b.Run("BareWrites", func(b *testing.B) {
		for range b.N {
			s := newScene(b)
			s.bareWrites(100)
			s.close()
		}
	})
	b.Run("Idle", func(b *testing.B) {
		for range b.N {
			s := newScene(b)
			s.idle(100)
			s.close()
		}
	})
}

// run creates resources and reports what they cost until all are Ready.
func (s *scene) run(count int) {
	s.b.Helper()
	program := s.startOperator()
	defer program.stop()
	before, sent := program.usage(), s.audit.counted()
	stopProfile := program.profile(fmt.Sprintf("run-%d", count))
	took := s.install(count)
	stopProfile()
	used, after := program.usage(), s.audit.counted()
	spent := after.minus(sent)
	s.report(count, fmt.Sprintf("%d resources", count), spent)
	s.b.ReportMetric(took.Seconds(), "s/"+strconv.Itoa(count))
	s.b.ReportMetric(used.cpu.Seconds()-before.cpu.Seconds(), "cpu-s")
	s.b.ReportMetric(float64(used.peak)/(1<<20), "peak-RSS-MiB")
	s.b.ReportMetric(float64(spent.writes())/float64(count), "writes/resource")
	s.b.ReportMetric(float64(spent.reads())/float64(count), "reads/resource")
	s.b.ReportMetric(0, "ns/op") // the clock of the framework holds the start of the API server
}

// idle reports what resources cost that are Ready, and what it costs to look at each once without finding a change.
func (s *scene) idle(count int) {
	s.b.Helper()
	program := s.startOperator()
	defer program.stop()
	s.install(count)
	pause(s.b, firstLook)
	s.awaitQuiet()
	before, sent := program.usage(), s.audit.counted()
	pause(s.b, idleTime)
	used, after := program.usage(), s.audit.counted()
	spent := after.minus(sent)
	s.report(count, "idle", spent)
	hours := idleTime.Hours() * float64(count)
	s.b.ReportMetric(1000*(used.cpu-before.cpu).Seconds()/hours, "idle-cpu-ms/resource/h")
	s.b.ReportMetric(float64(spent.total())/hours, "idle-calls/resource/h")
	s.b.ReportMetric(float64(used.resident)/(1<<20), "idle-RSS-MiB")

	before, sent = program.usage(), s.audit.counted()
	s.touch()
	s.awaitQuiet()
	used, after = program.usage(), s.audit.counted()
	spent = after.minus(sent)
	s.report(count, "one look at each", spent)
	s.b.ReportMetric(1000*(used.cpu-before.cpu).Seconds()/float64(count), "look-cpu-ms")
	s.b.ReportMetric(float64(spent.reads())/float64(count), "look-reads")
	s.b.ReportMetric(float64(spent.writes()-spent["update leases"])/float64(count), "look-writes")
	s.b.ReportMetric(0, "ns/op")
}

// firstLook is when every new revision has been compared with the cluster once, some seconds after it was installed.
const firstLook = 15 * time.Second

func pause(b *testing.B, length time.Duration) {
	b.Helper()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}
