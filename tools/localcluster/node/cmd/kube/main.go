// Command kube holds Kubernetes' own programs and etcd in one executable.
//
// The program is chosen by the name under which the executable was started
// (a link named kubectl is kubectl) or else by the first argument. One
// executable is linked once and its pages are shared by every process.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the name of a program to what runs it with the arguments that
// follow the name; the result is the exit status.
func programs() map[string]func(args []string) int {
	command := func(make func() *cobra.Command) func([]string) int {
		return func(args []string) int {
			cmd := make()
			cmd.SetArgs(args)
			return cli.Run(cmd)
		}
	}
	return map[string]func([]string) int{
		"etcd": func(args []string) int {
			etcdmain.Main(append([]string{"etcd"}, args...))
			return 0
		},
		"kube-apiserver":          command(apiserver.NewAPIServerCommand),
		"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kube-proxy":              command(proxy.NewProxyCommand),
		"kubelet": func(args []string) int {
			// The kubelet handles signals itself.
			cmd := kubelet.NewKubeletCommand(context.Background())
			cmd.SetArgs(args)
			return cli.Run(cmd)
		},
		"kubectl": runKubectl,
	}
}

// runKubectl differs from the daemons: kubectl prints its own errors and looks
// at os.Args itself to find plugins.
func runKubectl(args []string) int {
	os.Args = append([]string{"kubectl"}, args...)
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

func run(argv []string, stderr io.Writer) int {
	all := programs()
	if program, ok := all[filepath.Base(argv[0])]; ok {
		return program(argv[1:])
	}
	if len(argv) > 1 {
		if program, ok := all[argv[1]]; ok {
			return program(argv[2:])
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	_, _ = fmt.Fprintf(stderr, "usage: kube <program> [arguments]\nprograms: %s\n", strings.Join(names, ", "))
	return 2
}

func main() { os.Exit(run(os.Args, os.Stderr)) }
