package history

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestARepeatDoesNotBringBackWhatWasCutOff sends lines again after a rewind below them, before and behind newer ones.
func TestARepeatDoesNotBringBackWhatWasCutOff(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, r := newBed(t, s), rand.New(rand.NewPCG(11, 11))
		run, m := b.run(t, "cut"), newModel()
		var sent [][]string
		for n := range int64(4) {
			sent = append(sent, []string{fmt.Sprintf(`{"_step":%d}`, 2*n), fmt.Sprintf(`{"_step":%d}`, 2*n+1)})
			b.log(t, run, store.StreamHistory, "", 2*n, sent[n]...)
			m.put("", 2*n, sent[n]...)
		}
		again := func() {
			t.Helper()
			for n := range int64(4) {
				b.log(t, run, store.StreamHistory, "", 2*n, sent[n]...)
			}
			b.check(t, run.RunID, m, r)
		}
		if _, err := b.Rewind(t.Context(), run.RunID, 2); err != nil {
			t.Fatal(err)
		}
		m.cut(2)
		again()
		b.log(t, run, store.StreamHistory, "", 3, `{"_step":3,"new":1}`)
		m.put("", 3, `{"_step":3,"new":1}`)
		again()
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		again()
	})
}
