package request

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

func TestRequestsSurviveTheirSecret(t *testing.T) {
	mark := MarkOf(" ada ", time.Date(2026, 5, 1, 12, 0, 0, 999, time.FixedZone("", 3600)))
	want := Set{
		Approve: &Approve{Mark: mark, Plan: "sha256:" + strings.Repeat("a", 64)}, Pin: &Pin{Mark: mark, Release: "r1"},
		Suspend: &mark, Rollback: &Rollback{Mark: mark, Revision: 3}, Retry: &mark, Force: &mark,
	}
	raw, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(map[string][]byte{Key: raw})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a round trip (-want +got):\n%s", diff)
	}
	if mark.By != "ada" || mark.At.Nanosecond() != 0 || mark.At.Hour() != 11 {
		t.Errorf("the mark is %+v", mark)
	}
}

func TestDecodeRefusesWhatItWouldMisread(t *testing.T) {
	tests := map[string]struct {
		raw  string
		good bool
	}{
		"no requests":           {"", true},
		"empty object":          {"{}", true},
		"unknown request":       {`{"dance":{}}`, true},
		"no JSON":               {"{", false},
		"a list":                {"[]", false},
		"plan without digest":   {`{"approve":{"by":"ada","plan":"latest"}}`, false},
		"revision zero":         {`{"rollback":{"by":"ada","revision":0}}`, false},
		"longer than any could": {`{"x":"` + strings.Repeat("a", maxEncodedSize) + `"}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(map[string][]byte{Key: []byte(test.raw)})
			if (err == nil) != test.good {
				t.Fatalf("Decode gave %v", err)
			}
			if err != nil && fault.Reason(err, "") != appsv1.ReasonLayerInvalid {
				t.Errorf("the reason is %q", fault.Reason(err, ""))
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"retry":{"by":"ada","at":"2026-05-01T12:00:00Z"}}`))
	f.Add([]byte(`{"rollback":{"revision":-1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := Decode(map[string][]byte{Key: raw})
		if err != nil {
			return
		}
		again, err := set.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := Decode(map[string][]byte{Key: again})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(set, back); diff != "" {
			t.Errorf("after a round trip:\n%s", diff)
		}
	})
}
