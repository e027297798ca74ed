// Package kernel raises the machine-wide limits that a cluster runs into.
package kernel

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// limit is a file below /proc/sys and the least value that it should have.
type limit struct {
	path  string
	least int
}

// limits are those that several clusters, and test API servers beside them,
// exceed: each control plane program watches files of its own. They count per
// user, so that every program of root shares them.
func limits() []limit {
	return []limit{
		{path: "/proc/sys/fs/inotify/max_user_instances", least: 4096},
		{path: "/proc/sys/fs/inotify/max_user_watches", least: 262144},
	}
}

// RaiseLimits raises what is too low and never lowers anything. The values stay
// until the machine starts anew: other clusters may rely on them by then.
func RaiseLimits() error {
	for _, l := range limits() {
		if err := l.raise(); err != nil {
			return err
		}
	}
	return nil
}

func (l limit) raise() error {
	content, err := os.ReadFile(l.path)
	if err != nil {
		return fmt.Errorf("read kernel limit: %w", err)
	}
	current, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("parse kernel limit %s: %w", l.path, err)
	}
	if current >= l.least {
		return nil
	}
	if err := os.WriteFile(l.path, []byte(strconv.Itoa(l.least)), 0o644); err != nil {
		return fmt.Errorf("raise kernel limit %s from %d to %d: %w", l.path, current, l.least, err)
	}
	return nil
}
