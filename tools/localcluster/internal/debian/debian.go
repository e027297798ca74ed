// Package debian installs the programs that a node needs and that Debian
// packages: the container runtime, its network plugins and the packet filter.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// PluginFolder is where Debian puts the container network plugins.
const PluginFolder = "/usr/lib/cni"

// installTime bounds the installation: some 60 MB over a slow line.
const installTime = 10 * time.Minute

// need is a file or a program and the package it comes from.
type need struct{ file, program, pkg string }

// needs lists what the node runs. Programs already there, from whatever
// source, are left as they are.
func needs() []need {
	return []need{
		{program: "containerd", pkg: "containerd"},
		{program: "containerd-shim-runc-v2", pkg: "containerd"},
		{program: "ctr", pkg: "containerd"},
		{program: "runc", pkg: "runc"},
		{file: PluginFolder + "/ptp", pkg: "containernetworking-plugins"},
		{file: PluginFolder + "/host-local", pkg: "containernetworking-plugins"},
		// kube-proxy writes its rules with nft; the portmap plugin uses iptables.
		{program: "nft", pkg: "nftables"},
		{program: "iptables", pkg: "iptables"},
		{program: "ip", pkg: "iproute2"},
		{program: "mount", pkg: "mount"},
		{program: "nsenter", pkg: "util-linux"},
	}
}

// Missing lists the packages to install, sorted.
func Missing() []string {
	return missing(needs(), func(n need) bool {
		if n.program != "" {
			_, err := exec.LookPath(n.program)
			return err == nil
		}
		_, err := os.Stat(n.file)
		return err == nil
	})
}

func missing(all []need, present func(need) bool) []string {
	var packages []string
	for _, n := range all {
		if !present(n) && !slices.Contains(packages, n.pkg) {
			packages = append(packages, n.pkg)
		}
	}
	slices.Sort(packages)
	return packages
}

// Install installs the packages and writes apt's output to log. The package
// lists are fetched only when the installation does not work with those at
// hand.
func Install(ctx context.Context, packages []string, log io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	install := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	if apt(ctx, log, install) == nil {
		return nil
	}
	if err := apt(ctx, log, []string{"update"}); err != nil {
		return fmt.Errorf("fetch package lists (are Debian's packages reachable?): %w", err)
	}
	if err := apt(ctx, log, install); err != nil {
		return fmt.Errorf("install %v: %w", packages, err)
	}
	if left := Missing(); len(left) > 0 {
		return fmt.Errorf("install packages: %v are installed but their programs are not found; check PATH", left)
	}
	return nil
}

func apt(ctx context.Context, log io.Writer, args []string) error {
	// A package's service must not start beside the cluster's own: the option
	// keeps apt from asking, the variable keeps maintainer scripts from it.
	args = append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("find apt-get (this tool needs Debian or a derivative): %w", err)
		}
		return fmt.Errorf("run apt-get %v: %w", args, err)
	}
	return nil
}
