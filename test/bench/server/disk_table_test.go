package server

import (
	"maps"
	"strings"
	"testing"
)

func TestWhatADiskKeeps(t *testing.T) {
	const (
		made    = `1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT, 0600) = 3</d/a>` + "\n"
		named   = `1 openat(AT_FDCWD</d>, ".", O_RDONLY) = 4</d>` + "\n" + `1 fsync(4</d>) = 0` + "\n"
		written = `1 write(3</d/a>, "one", 3) = 3` + "\n"
		synced  = `1 fsync(3</d/a>) = 0` + "\n"
	)
	for sentence, test := range map[string]struct {
		trace string
		want  map[string]string
	}{
		"a file that was synced with its folder":      {made + written + synced + named, map[string]string{"a": "one"}},
		"a file whose folder was not synced":          {made + written + synced, nil},
		"a folder that was synced before its file":    {made + named + written, map[string]string{"a": ""}},
		"a write after the sync":                      {made + written + synced + named + `1 write(3</d/a>, "two", 3) = 3`, map[string]string{"a": "one"}},
		"a second sync":                               {made + written + synced + named + `1 write(3</d/a>, "two", 3) = 3` + "\n" + synced, map[string]string{"a": "onetwo"}},
		"a sync that failed":                          {made + written + `1 fsync(3</d/a>) = -1 EIO (Input/output error)` + "\n" + named, map[string]string{"a": ""}},
		"a write that failed":                         {made + `1 write(3</d/a>, "one", 3) = -1 ENOSPC (No space left on device)` + "\n" + synced + named, map[string]string{"a": ""}},
		"half a write":                                {made + `1 write(3</d/a>, "one", 3) = 2` + "\n" + synced + named, map[string]string{"a": "on"}},
		"a write at an offset":                        {made + written + `1 pwrite64(3</d/a>, "XY", 2, 2) = 2` + "\n" + `1 write(3</d/a>, "Z", 1) = 1` + "\n" + synced + named, map[string]string{"a": "onXZ"}},
		"a write behind the end":                      {made + `1 pwrite64(3</d/a>, "X", 1, 2) = 1` + "\n" + synced + named, map[string]string{"a": "\x00\x00X"}},
		"an appended write":                           {made + written + `1 open("/d/a", O_WRONLY|O_APPEND) = 5</d/a>` + "\n" + `1 write(5</d/a>, "two", 3) = 3` + "\n" + synced + named, map[string]string{"a": "onetwo"}},
		"a truncation that was synced":                {made + written + synced + named + `1 ftruncate(3</d/a>, 1) = 0` + "\n" + `1 fdatasync(3</d/a>) = 0`, map[string]string{"a": "o"}},
		"a truncation that was not":                   {made + written + synced + named + `1 ftruncate(3</d/a>, 1) = 0`, map[string]string{"a": "one"}},
		"a file that grew":                            {made + written + `1 ftruncate(3</d/a>, 4) = 0` + "\n" + synced + named, map[string]string{"a": "one\x00"}},
		"a file opened to be written anew":            {made + written + synced + named + `1 open("/d/a", O_WRONLY|O_TRUNC) = 5</d/a>`, map[string]string{"a": "one"}},
		"a rename that was synced":                    {made + written + synced + named + `1 rename("/d/a", "/d/b") = 0` + "\n" + `1 fsync(4</d>) = 0`, map[string]string{"b": "one"}},
		"a rename that was not":                       {made + written + synced + named + `1 rename("/d/a", "/d/b") = 0`, map[string]string{"a": "one"}},
		"a rename over a file":                        {made + written + synced + named + `1 open("/d/b", O_WRONLY|O_CREAT) = 5</d/b>` + "\n" + `1 rename("/d/b", "/d/a") = 0` + "\n" + `1 fsync(4</d>) = 0`, map[string]string{"a": ""}},
		"a link":                                      {made + written + synced + `1 linkat(4</d>, "a", 4</d>, "b", 0) = 0` + "\n" + named, map[string]string{"a": "one", "b": "one"}},
		"a removal that was synced":                   {made + named + `1 unlink("/d/a") = 0` + "\n" + `1 fsync(4</d>) = 0`, nil},
		"a removal that was not":                      {made + written + synced + named + `1 unlinkat(4</d>, "a", 0) = 0`, map[string]string{"a": "one"}},
		"a folder in a folder":                        {`1 mkdir("/d/s", 0700) = 0` + "\n" + `1 mkdirat(AT_FDCWD</d/s>, "t", 0700) = 0` + "\n" + named, map[string]string{"s/": ""}},
		"a folder in a folder that was synced":        {`1 mkdir("/d/s", 0700) = 0` + "\n" + `1 mkdir("/d/s/t", 0700) = 0` + "\n" + `1 open("/d/s", O_RDONLY) = 9</d/s>` + "\n1 fsync(9</d/s>) = 0\n" + named, map[string]string{"s/": "", "s/t/": ""}},
		"a write while the sync runs":                 {made + named + "2 fsync(3</d/a> <unfinished ...>\n" + written + "2 <... fsync resumed>) = 0", map[string]string{"a": ""}},
		"a write that has not ended when it begins":   {made + named + "2 write(3</d/a>, \"one\", 3 <unfinished ...>\n" + synced + "2 <... write resumed>) = 3", map[string]string{"a": ""}},
		"a sync that has not ended":                   {made + named + written + "2 fsync(3</d/a> <unfinished ...>", map[string]string{"a": ""}},
		"two syncs of which the later ends first":     {made + named + written + "2 fsync(3</d/a> <unfinished ...>\n" + `1 write(3</d/a>, "two", 3) = 3` + "\n" + synced + "2 <... fsync resumed>) = 0", map[string]string{"a": "onetwo"}},
		"two syncs of a folder, the later ends first": {made + named + "2 fsync(4</d> <unfinished ...>\n" + `1 unlink("/d/a") = 0` + "\n" + "1 fsync(4</d>) = 0\n2 <... fsync resumed>) = 0", nil},
		"a descriptor that is used again at once":     {made + named + "2 close(3</d/a> <unfinished ...>\n" + `1 openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT, 0600) = 3</d/b>` + "\n2 <... close resumed>) = 0\n" + `1 write(3</d/b>, "two", 3) = 3` + "\n1 fsync(3</d/b>) = 0\n" + "1 fsync(4</d>) = 0", map[string]string{"a": "", "b": "two"}},
		"a range of zeros":                            {made + written + `1 fallocate(3</d/a>, FALLOC_FL_ZERO_RANGE, 1, 4) = 0` + "\n" + synced + named, map[string]string{"a": "o\x00\x00\x00\x00"}},
		"room behind the end":                         {made + written + `1 fallocate(3</d/a>, 0, 1, 4) = 0` + "\n" + synced + named, map[string]string{"a": "one\x00\x00"}},
		"room that nobody sees":                       {made + written + `1 fallocate(3</d/a>, FALLOC_FL_KEEP_SIZE, 1, 4) = 0` + "\n" + synced + named, map[string]string{"a": "one"}},
		"a hole":                                      {made + written + `1 fallocate(3</d/a>, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 1, 4) = 0` + "\n" + synced + named, map[string]string{"a": "o\x00\x00"}},
		"a second descriptor":                         {made + written + `1 dup2(3</d/a>, 9</e>) = 9</d/a>` + "\n" + `1 close(3</d/a>) = 0` + "\n" + `1 write(9</d/a>, "two", 3) = 3` + "\n1 fsync(9</d/a>) = 0\n" + named, map[string]string{"a": "onetwo"}},
		"a program in a folder of its own":            {`1 chroot("/d/..") = 0` + "\n" + `1 chdir("/d") = 0` + "\n" + made + written + synced + named + `1 rename("./a", "/d/b") = 0` + "\n1 fsync(4</d>) = 0", map[string]string{"b": "one"}},
		"a program in a small root":                   {`1 chroot("/d") = 0` + "\n" + `1 chdir("/") = 0` + "\n" + made + written + synced + named + `1 rename("a", "/b") = 0` + "\n1 fsync(4</d>) = 0", map[string]string{"b": "one"}},
		"files elsewhere":                             {`1 openat(AT_FDCWD</e>, "x", O_RDWR|O_CREAT) = 3</e/x>` + "\n" + `1 write(3</e/x>, "x", 1) = 1` + "\n1 write(9<TCP:[1->2]>, \"x\", 1) = 1\n1 rename(\"/e/x\", \"/e/y\") = 0", nil},
	} {
		got, err := imageOf(test.trace, nil)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
		} else if !maps.Equal(got, test.want) {
			t.Errorf("%s: the disk holds %q, want %q", sentence, got, test.want)
		}
	}
	if got, err := imageOf(made+named+written, func() bool { return true }); err != nil || got["a"] != "one" {
		t.Errorf("a write that survives by chance: %q, %v", got, err)
	}
	for sentence, trace := range map[string]string{
		"a call that is not followed":    made + "1 copy_file_range(5</e>, NULL, 3</d/a>, NULL, 1, 0) = 1",
		"a file that nobody has opened":  `1 write(3</d/a>, "one", 3) = 3`,
		"a sync of the same":             `1 fsync(3</d/a>) = 0`,
		"a range that is cut out":        made + written + `1 fallocate(3</d/a>, FALLOC_FL_COLLAPSE_RANGE, 0, 1) = 0`,
		"a path from nobody knows where": `1 unlink("a") = 0`,
		"a text that was cut off":        made + `1 write(3</d/a>, "on"..., 3) = 3`,
	} {
		if got, err := imageOf(trace, nil); err == nil {
			t.Errorf("%s: %q", sentence, got)
		}
	}
}

// imageOf is what a disk holds of the folder /d at the end of a trace.
func imageOf(trace string, survives func() bool) (map[string]string, error) {
	d := newDisk("/d")
	d.survives = survives
	for m, err := range readTrace(strings.NewReader(trace)) {
		if err != nil {
			return nil, err
		}
		if err := d.apply(m); err != nil {
			return nil, err
		}
	}
	image := map[string]string{}
	for name, content := range d.image() {
		image[name] = string(content)
	}
	return image, nil
}
