// Package mount finds and removes the mounts below a folder.
package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Below lists the mount points at or below folder, deepest first.
func Below(folder string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer func() { _ = file.Close() }()
	return parse(file, folder)
}

// DetachBelow unmounts everything at or below folder. Busy mounts are detached:
// they go when their last user ends.
func DetachBelow(folder string) error {
	points, err := Below(folder)
	if err != nil {
		return err
	}
	var failed []error
	for _, point := range points {
		err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			failed = append(failed, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(failed...)
}

// parse reads the fifth field of each line of a mountinfo file.
func parse(mountinfo io.Reader, folder string) ([]string, error) {
	const pointField = 4
	folder = strings.TrimSuffix(folder, "/")
	var points []string
	scanner := bufio.NewScanner(mountinfo)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) <= pointField {
			continue
		}
		point := unescape(fields[pointField])
		if point == folder || strings.HasPrefix(point, folder+"/") {
			points = append(points, point)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	// Later lines lie on top of earlier ones, and a child is below its parent:
	// reversed and by depth, each is removed before what it rests on.
	for i, j := 0, len(points)-1; i < j; i, j = i+1, j-1 {
		points[i], points[j] = points[j], points[i]
	}
	sort.SliceStable(points, func(i, j int) bool {
		return strings.Count(points[i], "/") > strings.Count(points[j], "/")
	})
	return points, nil
}

// unescape undoes the kernel's octal escapes of blanks, tabs, line ends and
// backslashes.
func unescape(text string) string {
	const width = 4
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+width <= len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+width], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += width - 1
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
