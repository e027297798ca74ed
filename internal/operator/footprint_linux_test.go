package operator

import "testing"

func TestOnlyPagesOfTheProgramThatCannotBeWrittenAreGivenBack(t *testing.T) {
	const program = "/controller-manager"
	tests := map[string]struct {
		line string
		want uintptr
	}{
		"code":             {"00400000-01ff7000 r-xp 00000000 fe:00 109 /controller-manager", 0x1ff7000 - 0x400000},
		"constants":        {"01ff7000-03f30000 r--p 01bf7000 fe:00 109 /controller-manager", 0x3f30000 - 0x1ff7000},
		"variables":        {"03f30000-04014000 rw-p 03b30000 fe:00 109 /controller-manager", 0},
		"heap":             {"c000000000-c000800000 rw-p 00000000 00:00 0", 0},
		"a library":        {"7f00-7fff r-xp 00000000 fe:00 110 /lib/libc.so.6", 0},
		"another program":  {"7f00-7fff r-xp 00000000 fe:00 110 /bin/controller-manager", 0},
		"nothing":          {"", 0},
		"upside down":      {"7fff-7f00 r-xp 00000000 fe:00 110 /controller-manager", 0},
		"no address":       {"zz-yy r-xp 00000000 fe:00 110 /controller-manager", 0},
		"a part of a line": {"00400000 r-xp 00000000 fe:00 109 /controller-manager", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, length, ok := programPages(test.line, program)
			if length != test.want || ok != (test.want > 0) {
				t.Errorf("programPages = %#x, %t, want %#x", length, ok, test.want)
			}
		})
	}
}

func TestProgramWorksAfterItsPagesWereGivenBack(t *testing.T) {
	for range 3 {
		trimFootprint()
	}
}
