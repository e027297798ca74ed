package mysql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubewandb/kubewandb/test/fixture"
)

const (
	mysqldPath   = "/usr/sbin/mysqld"
	templatePath = "/var/lib/kubewandb/template"
	// installTimeout leaves room for a slow network; the packages are about 100 MB.
	installTimeout = 10 * time.Minute
)

var versionPattern = regexp.MustCompile(`Ver (\d+\.\d+\.\d+)`)

// installation is a folder with a small Debian that holds MySQL.
type installation struct{ root string }

// lockCache makes the cache folder and keeps other test processes from changing what is in it; free lets them again.
func lockCache() (cache string, free func() error, err error) {
	if os.Geteuid() != 0 {
		return "", nil, errors.New("MySQL for tests runs in a folder of its own by chroot, which needs root")
	}
	return fixture.Lock("mysql")
}

// install returns the installation in the cache folder, and makes it where it is missing. The cache must be locked.
func install(ctx context.Context, cache string) (installation, error) {
	// A folder gets its final name only when it is complete.
	if found, err := filepath.Glob(filepath.Join(cache, "mysql-[0-9]*")); err == nil && len(found) > 0 {
		return installation{root: found[len(found)-1]}, nil
	}
	return build(ctx, cache)
}

func build(ctx context.Context, cache string) (installation, error) {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	debootstrap, err := findDebootstrap(ctx)
	if err != nil {
		return installation{}, err
	}
	partial := installation{root: filepath.Join(cache, "mysql-partial")}
	if err := os.RemoveAll(partial.root); err != nil {
		return installation{}, fmt.Errorf("remove an unfinished installation: %w", err)
	}
	_, err = fixture.Run(exec.CommandContext(ctx, debootstrap, "--variant=minbase",
		"--include=mysql-server-core,mysql-client-core", "sid", partial.root, mirror(ctx)))
	if err != nil {
		return installation{}, err
	}
	text, err := fixture.Run(partial.mysqld(ctx, "--version"))
	if err != nil {
		return installation{}, err
	}
	version := versionPattern.FindStringSubmatch(text)
	if version == nil {
		return installation{}, fmt.Errorf("read the version of MySQL: %q", text)
	}
	if err := os.MkdirAll(partial.path(filepath.Dir(templatePath)), 0o755); err != nil {
		return installation{}, fmt.Errorf("make the folder of databases: %w", err)
	}
	options := append(serverOptions(templatePath), "--initialize-insecure")
	if _, err := fixture.Run(partial.mysqld(ctx, options...)); err != nil {
		return installation{}, err
	}
	final := installation{root: filepath.Join(cache, "mysql-"+version[1])}
	if err := os.Rename(partial.root, final.root); err != nil {
		return installation{}, fmt.Errorf("finish the installation: %w", err)
	}
	return final, nil
}

func findDebootstrap(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("debootstrap"); err == nil {
		return path, nil
	}
	apt := func(arguments ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300", "-qq"}, arguments...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		_, err := fixture.Run(cmd)
		return err
	}
	if err := apt("install", "-y", "debootstrap"); err != nil {
		if err := errors.Join(apt("update"), apt("install", "-y", "debootstrap")); err != nil {
			return "", fmt.Errorf("install debootstrap: %w", err)
		}
	}
	return exec.LookPath("debootstrap")
}

// mirror is the archive that this machine's own packages come from, so that a machine behind a proxy or with a mirror of
// its own uses what works there.
func mirror(ctx context.Context) string {
	const official = "http://deb.debian.org/debian"
	text, err := fixture.Run(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)"))
	if err != nil {
		return official
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), "/")
		if strings.HasSuffix(line, "/debian") {
			return line
		}
	}
	return official
}

func (i installation) path(inside string) string { return filepath.Join(i.root, inside) }

// mysqld prepares a run of MySQL inside the installation. The process is ended by the system when the thread that started
// it ends, so a crashed test leaves no server behind.
func (i installation) mysqld(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, mysqldPath, append([]string{"--no-defaults"}, arguments...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// mysqldUnder prepares the same under another program of this machine. MySQL ends with that program.
func (i installation) mysqldUnder(ctx context.Context, program []string, arguments ...string) *exec.Cmd {
	line := slices.Concat(program, []string{"setpriv", "--pdeathsig", "KILL", "chroot", i.root, mysqldPath, "--no-defaults"}, arguments)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// serverOptions keep MySQL small, and durable as the product demands.
func serverOptions(datadir string) []string {
	return []string{
		"--user=root",
		"--datadir=" + datadir,
		"--mysqlx=OFF",
		"--secure-file-priv=",
		"--skip-log-bin",
		"--skip-name-resolve",
		"--performance-schema=OFF",
		"--innodb-buffer-pool-size=32M",
		"--innodb-log-buffer-size=1M",
		"--innodb-redo-log-capacity=8M",
		"--innodb-use-native-aio=OFF",
		"--innodb-flush-log-at-trx-commit=1",
		"--max-connections=200",
		"--table-open-cache=200",
		"--table-definition-cache=400",
	}
}
