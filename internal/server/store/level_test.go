package store_test

import (
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestAProgramWorksOnADatabaseThatItCanRead(t *testing.T) {
	for sentence, test := range map[string]struct {
		// above is the newer level, counted from this program's; 0 for none. states and stated say who can read it.
		above, states int64
		stated        bool
		tooNew        bool
	}{
		"its own":                                       {},
		"a newer one that only adds":                    {above: 1, states: 0, stated: true},
		"a much newer one that only adds":               {above: 9, states: -3, stated: true},
		"a newer one that removes":                      {above: 1, states: 1, stated: true, tooNew: true},
		"a newer one about which nothing is known":      {above: 1, tooNew: true},
		"a newer one that removes, and has only begun":  {states: 2, stated: true, tooNew: true},
		"one that a program of the same level has made": {states: 0, stated: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
				first := storetest.Open(t, cfg)
				schema, err := first.Schema(t.Context())
				if err != nil || schema.ReadableBy != store.ReadableBy {
					t.Fatalf("its own level is %+v, %v", schema, err)
				}
				own := schema.Wanted
				if err := first.Newer(t.Context(), own+test.above, own+max(test.above, test.states), own+test.states, test.stated); err != nil {
					t.Fatal(err)
				}
				s, err := store.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				for _, migrate := range []bool{false, true} {
					err = s.Prepare(t.Context(), migrate)
					if tooNew := fault.Reason(err, "") == store.ReasonSchemaTooNew; tooNew != test.tooNew || (err != nil) != test.tooNew {
						t.Errorf("prepared with migrations %t: %v", migrate, err)
					}
				}
				if _, err := s.Health(t.Context()); (fault.Reason(err, "") == store.ReasonSchemaTooNew) != test.tooNew || (err != nil) != test.tooNew {
					t.Errorf("its health: %v", err)
				}
				if err != nil && (!strings.Contains(err.Error(), "schema") || fault.Hint(err) == "") {
					t.Errorf("the error is %v, the hint %q", err, fault.Hint(err))
				}
			})
		})
	}
}
