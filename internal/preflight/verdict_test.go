package preflight

import (
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
)

// expect compares one check with the wanted result, and with a part of its message.
func expect(t *testing.T, sentence string, got Check, result Result, part string) {
	t.Helper()
	if got.Result != result || !strings.Contains(got.Message, part) {
		t.Errorf("%s: got %s %q, want %s with %q", sentence, got.Result, got.Message, result, part)
	}
}

func TestVersionsOfKubernetes(t *testing.T) {
	for found, want := range map[string]Result{
		"v1.28.0": Passed, "v1.28.3-eks-1234": Passed, "v1.35.4": Passed, "v1.30.5+k3s1": Passed, "v2.0.0": Passed,
		"v1.29.0-rc.1": Passed, "v1.27.16": Failed, "v1.9.0": Failed, "newest": Skipped, "": Skipped,
	} {
		expect(t, found, judgeKubernetes(found), want, found)
	}
}

func TestLicences(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	reason := func(reason string) LicenceVerdict {
		return LicenceVerdict{Present: true, Err: &fault.Error{Reason: reason, Op: "verify licence", Hint: "Do this."}}
	}
	for sentence, c := range map[string]struct {
		verdict LicenceVerdict
		want    Result
		part    string
	}{
		"none":                         {LicenceVerdict{}, Skipped, "no layer"},
		"good":                         {LicenceVerdict{Present: true, ExpiresAt: now.AddDate(1, 0, 0)}, Passed, "2027-01-01"},
		"good for ever":                {LicenceVerdict{Present: true}, Passed, "good"},
		"about to end":                 {LicenceVerdict{Present: true, ExpiresAt: now.AddDate(0, 0, 20)}, Warning, "2026-01-21"},
		"expired":                      {reason(license.ReasonExpired), Warning, "Do this."},
		"not yet valid":                {reason(license.ReasonNotYetValid), Warning, "Do this."},
		"by an issuer that is unknown": {reason(license.ReasonIssuerUnknown), Passed, "deploy server"},
		"malformed":                    {reason(license.ReasonMalformed), Failed, "Do this."},
		"with a wrong signature":       {reason(license.ReasonSignatureInvalid), Failed, "Do this."},
		"in a Secret that is missing":  {reason(appsv1.ReasonLicenseSecretNotFound), Failed, "Do this."},
		"that could not be read":       {LicenceVerdict{Err: errors.New("timeout")}, Skipped, "timeout"},
	} {
		expect(t, sentence, judgeLicence(c.verdict, now), c.want, c.part)
	}
}

func TestVersionsOfDatabases(t *testing.T) {
	for sentence, c := range map[string]struct {
		found variables
		want  Result
		part  string
	}{
		"MySQL 8.0":                    {variables{"version": "8.0.36", "version_comment": "MySQL Community Server - GPL"}, Passed, "MySQL 8.0.36"},
		"MySQL 8.4":                    {variables{"version": "8.4.3"}, Passed, "MySQL 8.4.3"},
		"MySQL 9":                      {variables{"version": "9.1.0"}, Passed, "MySQL 9.1.0"},
		"of Google":                    {variables{"version": "8.0.35-google", "version_comment": "(Google)"}, Passed, "8.0.35"},
		"of Azure":                     {variables{"version": "8.0.36-azure"}, Passed, "8.0.36"},
		"of Debian":                    {variables{"version": "8.0.36-0ubuntu0.22.04.1"}, Passed, "8.0.36"},
		"Percona":                      {variables{"version": "8.4.3-3", "version_comment": "Percona Server (GPL), Release 3"}, Passed, "Percona Server 8.4.3"},
		"Aurora 3":                     {variables{"version": "8.0.32", "version_comment": "Source distribution", "aurora_version": "3.06.0"}, Passed, "Aurora"},
		"Aurora 2":                     {variables{"version": "5.7.12", "aurora_version": "2.11.2"}, Failed, "too old"},
		"MySQL 5.7":                    {variables{"version": "5.7.44-log"}, Failed, "MySQL 8.0"},
		"MariaDB":                      {variables{"version": "10.11.6-MariaDB-0+deb12u1"}, Warning, "MariaDB 10.11.6"},
		"MariaDB, as for replicas":     {variables{"version": "5.5.5-10.6.16-MariaDB-log"}, Warning, "MariaDB 10.6.16"},
		"MariaDB by its comment alone": {variables{"version": "11.4.2", "version_comment": "mariadb.org binary distribution"}, Warning, "MariaDB 11.4.2"},
		"MariaDB before 10.6":          {variables{"version": "10.5.22-MariaDB"}, Failed, "10.6"},
		"TiDB":                         {variables{"version": "8.0.11-TiDB-v7.5.0"}, Warning, "compatible"},
		"no version":                   {variables{"version": "unknown"}, Warning, "none"},
		"nothing":                      {variables{}, Warning, "none"},
	} {
		expect(t, sentence, judgeVersion(c.found), c.want, c.part)
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("8.0.36", "MySQL Community Server", "")
	f.Add("5.5.5-10.6.16-MariaDB", "", "")
	f.Add("99999999999999999999.1", "", "3")
	f.Fuzz(func(t *testing.T, version, comment, aurora string) {
		parsed, ok := parseVersion(version, comment, aurora)
		if parsed.major < 0 || parsed.minor < 0 || parsed.major > 9999 || parsed.minor > 9999 {
			t.Errorf("got %d.%d", parsed.major, parsed.minor)
		}
		if !ok && (parsed.major != 0 || parsed.minor != 0) {
			t.Errorf("no version, and yet %d.%d", parsed.major, parsed.minor)
		}
	})
}

func TestParametersOfDatabases(t *testing.T) {
	good := variables{
		"innodb_flush_log_at_trx_commit": "1", "log_bin": "ON", "sync_binlog": "1", "binlog_format": "ROW", "read_only": "OFF",
		"super_read_only": "OFF", "innodb_read_only": "OFF", "default_storage_engine": "InnoDB", "max_allowed_packet": "67108864",
		characterSet: "utf8mb4",
	}
	for sentence, c := range map[string]struct {
		change variables
		want   Result
		part   string
	}{
		"as they should be":                {nil, Passed, "on disk"},
		"a log that is written late":       {variables{"innodb_flush_log_at_trx_commit": "2"}, Failed, "innodb_flush_log_at_trx_commit is 2"},
		"MariaDB's third way":              {variables{"innodb_flush_log_at_trx_commit": "3"}, Failed, "must be 1"},
		"a binlog that is written late":    {variables{"sync_binlog": "0"}, Failed, "sync_binlog is 0"},
		"without a binlog it is no matter": {variables{"sync_binlog": "0", "log_bin": "OFF", "binlog_format": "STATEMENT"}, Passed, ""},
		"statements in the binlog":         {variables{"binlog_format": "STATEMENT"}, Failed, "binlog_format"},
		"mixed binlog":                     {variables{"binlog_format": "MIXED"}, Passed, ""},
		"a replica":                        {variables{"read_only": "ON"}, Failed, "primary"},
		"a reader of Aurora":               {variables{"innodb_read_only": "1"}, Failed, "primary"},
		"another engine":                   {variables{"default_storage_engine": "MyISAM"}, Failed, "InnoDB"},
		"small packets":                    {variables{"max_allowed_packet": "4194304"}, Warning, "16777216"},
		"an old character set":             {variables{characterSet: "latin1"}, Warning, "utf8mb4"},
		"the gravest counts, all are told": {variables{"max_allowed_packet": "1024", "sync_binlog": "100"}, Failed, "max_allowed_packet"},
	} {
		found := variables{}
		for _, layer := range []variables{good, c.change} {
			for name, value := range layer {
				found[name] = value
			}
		}
		expect(t, sentence, judgeParameters(found), c.want, c.part)
	}
	expect(t, "a server that has none of them", judgeParameters(variables{}), Passed, "")
}

func TestClasses(t *testing.T) {
	known := []class{{"nginx", false}, {"traefik", true}}
	for sentence, c := range map[string]struct {
		wanted []string
		known  []class
		want   Result
		part   string
	}{
		"the one that is named":            {[]string{"nginx"}, known, Passed, "nginx"},
		"the default":                      {[]string{""}, known, Passed, "traefik (the cluster's default)"},
		"one that is not there":            {[]string{"haproxy"}, known, Warning, "the cluster has nginx, traefik"},
		"the second that is not there":     {[]string{"nginx", "inner"}, known, Warning, `"inner"`},
		"no default":                       {[]string{""}, known[:1], Warning, "Set ingress.class"},
		"a cluster without any controller": {[]string{""}, nil, Warning, "the cluster has none"},
	} {
		expect(t, sentence, judgeClasses(IngressClass, "ingress.class", c.wanted, c.known, "Nobody comes"), c.want, c.part)
	}
}
