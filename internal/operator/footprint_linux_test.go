package operator

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyPagesThatAreAsInTheFileAreGivenBack(t *testing.T) {
	mapping := func(head string, anonymous int) string {
		return fmt.Sprintf("%s\nSize: 28636 kB\nRss: 21276 kB\nAnonymous: %d kB\nVmFlags: rd ex\n", head, anonymous)
	}
	tests := map[string]struct {
		smaps string
		want  []pages
	}{
		"code":                             {mapping("00400000-01ff7000 r-xp 00000000 fe:00 109 /manager", 0), []pages{{0x400000, 0x1bf7000}}},
		"constants":                        {mapping("01ff7000-03f30000 r--p 01bf7000 fe:00 109 /manager", 0), []pages{{0x1ff7000, 0x1f39000}}},
		"variables":                        {mapping("03f30000-04014000 rw-p 03b30000 fe:00 109 /manager", 0), nil},
		"what the dynamic linker wrote":    {mapping("03f30000-04014000 r--p 03b30000 fe:00 109 /manager", 8), nil},
		"code with a debugger's traps":     {mapping("00400000-01ff7000 r-xp 00000000 fe:00 109 /manager", 4), nil},
		"heap":                             {mapping("c000000000-c000800000 rw-p 00000000 00:00 0", 0), nil},
		"a library":                        {mapping("7f00-7fff r-xp 00000000 fe:00 110 /lib/libc.so.6", 0), nil},
		"another program of that name":     {mapping("7f00-7fff r-xp 00000000 fe:00 110 /bin/manager", 0), nil},
		"addresses that are upside down":   {mapping("7fff-7f00 r-xp 00000000 fe:00 110 /manager", 0), nil},
		"no text":                          {"", nil},
		"anonymous memory after the code":  {mapping("00400000-00500000 r-xp 00000000 fe:00 1 /manager", 4) + mapping("7f00-7fff rw-p 00000000 00:00 0", 0), nil},
		"a kernel that counts nothing":     {"00400000-01ff7000 r-xp 00000000 fe:00 109 /manager\nSize: 1 kB\n", nil},
		"two parts, of which one was used": {mapping("1000-2000 r--p 0 fe:00 1 /manager", 0) + mapping("2000-3000 r--p 0 fe:00 1 /manager", 4), []pages{{0x1000, 0x1000}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := programPages([]byte(test.smaps), "/manager")
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(pages{})); diff != "" {
				t.Errorf("programPages:\n%s", diff)
			}
		})
	}
}

// TestProgramWorksAfterItsPagesWereGivenBack runs in a program that a dynamic linker has filled in, where giving back too
// much ends the process.
func TestProgramWorksAfterItsPagesWereGivenBack(t *testing.T) {
	for range 3 {
		trimFootprint()
		if _, err := os.Hostname(); err != nil {
			t.Error(err)
		}
	}
}
