package main

import (
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
	"github.com/kubewandb/kubewandb/internal/server/quota"
)

func TestQuotasFromAShell(t *testing.T) {
	each(t, func(t *testing.T, sh shell) {
		var any map[string]any
		sh.must(t, &any, "", "admin", "user", "create", "--username", "ada", "--email", "ada@example.com")
		var shown admin.Quota
		sh.must(t, &shown, "", "admin", "quota", "set", "Ada", "500Gi")
		if shown.Entity != "ada" || shown.Quota != "500 GiB" || shown.QuotaBytes != 500<<30 || !shown.Own || shown.MeasuredAt != nil {
			t.Errorf("set %+v", shown)
		}
		var all []admin.Quota
		if text := sh.must(t, &all, "", "admin", "quota", "list"); len(all) != 1 || all[0] != shown || !strings.Contains(text, `"measuredAt": null`) {
			t.Errorf("listed %s", text)
		}
		if sh.must(t, &shown, "", "admin", "quota", "measure", "ada"); shown.MeasuredAt == nil || shown.UsedBytes != 0 {
			t.Errorf("measured %+v", shown)
		}
		t.Setenv("STORAGE_QUOTA", "2Ti")
		if sh.must(t, &shown, "", "admin", "quota", "unset", "ada"); shown.Own || shown.Quota != "2.0 TiB" {
			t.Errorf("unset %+v", shown)
		}
		t.Setenv("STORAGE_QUOTA", "")
		sh.must(t, &all, "", "admin", "quota", "list")
		if len(all) != 1 || all[0].Quota != "none" {
			t.Errorf("without a default: %+v", all)
		}
		for sentence, c := range map[string]struct {
			reason    string
			arguments []string
		}{
			"nobody":  {account.ReasonNotFound, []string{"set", "nobody", "1Gi"}},
			"no size": {quota.ReasonInvalid, []string{"set", "ada", "lots"}},
		} {
			if _, _, err := sh.run(t.Context(), "", append([]string{"admin", "quota"}, c.arguments...)...); fault.Reason(err, "") != c.reason || fault.Hint(err) == "" {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		t.Setenv("STORAGE_QUOTA", "lots")
		if _, _, err := sh.run(t.Context(), "", "admin", "quota", "list"); err == nil || !strings.Contains(err.Error(), "STORAGE_QUOTA") {
			t.Errorf("a default that is no size: %v", err)
		}
	})
}
