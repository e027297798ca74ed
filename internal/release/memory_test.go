package release

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

func TestMemorySurvivesItsSecret(t *testing.T) {
	a, b := desired("a"), desired("b")
	a.ReleaseID, a.ReleaseName = "id-1", "v1.0.0"
	memory := Memory{}.WithSettled(3, a, noon).WithFailure(b, appsv1.ReasonHelmFailed, "hook failed", 4, noon.Add(time.Hour))
	data, err := memory.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeMemory(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(memory, again); diff != "" {
		t.Errorf("memory differs after a round trip:\n%s", diff)
	}
}

func TestMemoryOfAnAbsentSecretIsEmpty(t *testing.T) {
	memory, err := DecodeMemory(nil)
	if err != nil || !cmp.Equal(memory, Memory{}) {
		t.Errorf("DecodeMemory(nil) = %+v, %v", memory, err)
	}
}

func TestMemoryForgetsTheFailuresOfWhatBecameReady(t *testing.T) {
	a, b := desired("a"), desired("b")
	memory := Memory{}.WithFailure(a, appsv1.ReasonHelmFailed, "x", 1, noon).WithFailure(b, appsv1.ReasonHelmFailed, "y", 2, noon)
	memory = memory.WithSettled(3, a, noon)
	if memory.Failure(a.Digest).Count != 0 || memory.Failure(b.Digest).Count != 1 {
		t.Errorf("failures after a became ready: %+v", memory.Failures)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	memory := Memory{}
	for i := range 3 * maxFailures {
		memory = memory.WithFailure(desired(fmt.Sprint(i)), appsv1.ReasonHelmFailed, strings.Repeat("é", maxMessage), i, noon)
	}
	if len(memory.Failures) != maxFailures {
		t.Errorf("%d failures are kept, want %d", len(memory.Failures), maxFailures)
	}
	newest := memory.Failures[maxFailures-1]
	if newest.Digest != desired(fmt.Sprint(3*maxFailures-1)).Digest {
		t.Errorf("the newest failure is %q", newest.Digest)
	}
	if len(newest.Message) > maxMessage+4 || !strings.HasSuffix(newest.Message, "é…") {
		t.Errorf("the message of %d bytes was cut inside a character", len(newest.Message))
	}
}
