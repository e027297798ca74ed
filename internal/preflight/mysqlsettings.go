package preflight

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// variables are settings of a database server, by lower-case name.
type variables map[string]string

// characterSet is the one of the database itself, beside the server's.
const characterSet = "character_set_database"

// judged lists what is read.
var judged = []string{
	"version", "version_comment", "aurora_version",
	"innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "binlog_format",
	"read_only", "super_read_only", "innodb_read_only", "default_storage_engine", "max_allowed_packet",
}

const (
	// Smallest packets that leave room beside a row of 1 MiB and a page of such rows.
	wantedPacket = 16 << 20
	// Oldest versions with what the application's one SQL dialect needs.
	oldestMySQL, oldestMariaMajor, oldestMariaMinor = 8, 10, 6
)

// flavour is who made a database server.
type flavour string

const (
	flavourMySQL   flavour = "MySQL"
	flavourPercona flavour = "Percona Server"
	flavourAurora  flavour = "Amazon Aurora MySQL"
	flavourMaria   flavour = "MariaDB"
	flavourOther   flavour = "a MySQL-compatible database"
)

// serverVersion is what a server says about itself.
type serverVersion struct {
	flavour      flavour
	major, minor int
	text         string
}

var (
	leadingVersion = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})`)
	// replicationPrefix stands before MariaDB's version, so that replicas of an old MySQL take it for 5.5.
	replicationPrefix = "5.5.5-"
	foreign           = regexp.MustCompile(`(?i)tidb|vitess|singlestore|oceanbase|starrocks|doris|polardb`)
)

// parseVersion reads @@version, @@version_comment and @@aurora_version. ok is false for what is no version.
func parseVersion(version, comment, aurora string) (parsed serverVersion, ok bool) {
	parsed = serverVersion{flavour: flavourMySQL, text: strings.TrimSpace(version)}
	lower := strings.ToLower(version + " " + comment)
	switch {
	case strings.Contains(lower, "mariadb"):
		parsed.flavour = flavourMaria
		parsed.text = strings.TrimPrefix(parsed.text, replicationPrefix)
	case foreign.MatchString(lower):
		parsed.flavour = flavourOther
	case aurora != "":
		parsed.flavour = flavourAurora
	case strings.Contains(lower, "percona"):
		parsed.flavour = flavourPercona
	}
	match := leadingVersion.FindStringSubmatch(parsed.text)
	if match == nil {
		return parsed, false
	}
	parsed.major, _ = strconv.Atoi(match[1]) // digits, few of them
	parsed.minor, _ = strconv.Atoi(match[2])
	return parsed, true
}

func judgeVersion(found variables) Check {
	v, ok := parseVersion(found["version"], found["version_comment"], found["aurora_version"])
	name := fmt.Sprintf("%s %s", v.flavour, v.text)
	const want = "Use MySQL 8.0 or newer."
	switch {
	case !ok:
		return warning(MySQLVersion, "the server calls its version %q, which is none. %s", v.text, want)
	case v.flavour == flavourMaria && (v.major < oldestMariaMajor || v.major == oldestMariaMajor && v.minor < oldestMariaMinor):
		return failed(MySQLVersion, "%s is too old: at least 10.6 is needed. %s", name, want)
	case v.flavour == flavourMaria:
		return warning(MySQLVersion, "%s works today and is not what releases are tested with. %s", name, want)
	case v.major < oldestMySQL:
		return failed(MySQLVersion, "%s is too old. %s", name, want)
	case v.flavour == flavourOther:
		return warning(MySQLVersion, "%s (%s) is not what releases are tested with. %s", name, found["version_comment"], want)
	default:
		return passed(MySQLVersion, "%s", name)
	}
}

// judgeParameters names every setting that is wrong. Those under which the application is not ready, or cannot write,
// fail; the others warn.
func judgeParameters(found variables) Check {
	var wrong, weak []string
	need := func(list *[]string, name, wanted string, is func(string) bool, why string) {
		value, ok := found[name]
		if ok && !is(value) {
			*list = append(*list, fmt.Sprintf("%s is %s and must be %s: %s", name, value, wanted, why))
		}
	}
	const lost = "an acknowledged write could be lost"
	const replica = "the server takes no writes; name the primary in global.mysql.host"
	need(&wrong, "innodb_flush_log_at_trx_commit", "1", equal("1"), lost)
	if on(found["log_bin"]) {
		need(&wrong, "sync_binlog", "1", equal("1"), lost)
		need(&wrong, "binlog_format", "ROW", func(v string) bool { return !strings.EqualFold(v, "STATEMENT") },
			"transactions are READ COMMITTED, which statements in the log do not allow")
	}
	need(&wrong, "read_only", "OFF", off, replica)
	need(&wrong, "super_read_only", "OFF", off, replica)
	need(&wrong, "innodb_read_only", "OFF", off, replica)
	need(&wrong, "default_storage_engine", "InnoDB", equal("InnoDB"), "other engines have no transactions")
	need(&weak, "max_allowed_packet", strconv.Itoa(wantedPacket)+" or more", func(v string) bool {
		size, err := strconv.ParseInt(v, 10, 64)
		return err != nil || size >= wantedPacket
	}, "large rows are refused")
	need(&weak, characterSet, "utf8mb4", equal("utf8mb4"), "texts may be cut off; run `ALTER DATABASE … CHARACTER SET utf8mb4`")
	switch {
	case len(wrong) > 0:
		return failed(MySQLParameters, "%s. Change the server's configuration.", strings.Join(append(wrong, weak...), "; "))
	case len(weak) > 0:
		return warning(MySQLParameters, "%s.", strings.Join(weak, "; "))
	default:
		return passed(MySQLParameters, "commits are on disk before they are answered")
	}
}

func equal(wanted string) func(string) bool {
	return func(value string) bool { return strings.EqualFold(value, wanted) }
}

func on(value string) bool { return strings.EqualFold(value, "ON") || value == "1" }

func off(value string) bool { return !on(value) && !strings.EqualFold(value, "TRUE") }
