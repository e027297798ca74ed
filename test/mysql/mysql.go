package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"github.com/kubewandb/kubewandb/test/fixture"
	"github.com/kubewandb/kubewandb/test/netns"
)

// Database is an empty database and how to reach it.
type Database struct {
	Host     string
	Port     int
	Name     string
	User     string
	Password string
	// CACertPath is the certificate authority of the server's certificate, which names no host.
	CACertPath string
}

// awkwardPassword holds every character that a hand-made connection string would trip over.
const awkwardPassword = `p@ss:w/o?r#d&=%20'"\ (ö)`

// Start returns an empty database of a running MySQL, which is dropped when the test ends.
func Start(t testing.TB) Database {
	t.Helper()
	s, err := running()
	if err != nil {
		t.Fatalf("start MySQL: %v", err)
	}
	return s.database(t)
}

// database returns an empty database, which is dropped when the test ends. Until then the server is in use: its lock is what
// keeps other processes from removing its data folder.
func (s *server) database(t testing.TB) Database {
	t.Helper()
	db, err := s.create(t.Context())
	if err != nil {
		t.Fatalf("create a MySQL database: %v", err)
	}
	t.Cleanup(func() {
		if s.run == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := s.drop(ctx, db); err != nil {
			t.Errorf("drop the MySQL database: %v", err)
		}
	})
	return db
}

// Admin returns a connection as the server's administrator, for tests that change its settings.
func Admin(t testing.TB) *sql.DB {
	t.Helper()
	s, err := running()
	if err != nil {
		t.Fatalf("start MySQL: %v", err)
	}
	return s.admin
}

// running starts the server of this test process once. It ends with the process.
var running = sync.OnceValues(func() (*server, error) { return start(netns.Place{Bind: "127.0.0.1"}) })

// StartAt starts a server of its own at a place and returns an empty database of it, which is there until the test ends.
func StartAt(t testing.TB, place netns.Place) Database {
	t.Helper()
	s, err := start(place)
	if err != nil {
		t.Fatalf("start MySQL at %s: %v", place.Bind, err)
	}
	return s.database(t)
}

const startTimeout = time.Minute

type server struct {
	place   installation
	at      netns.Place
	options []string
	// under is another program that MySQL runs under; none where it is empty.
	under []string
	// folder is where its data are, on this machine.
	folder string
	run    *run // nil where it does not run

	admin *sql.DB
	host  string
	port  int
	lock  *os.File // held for as long as the process runs: the data folder is in use

	mu   sync.Mutex
	made int
}

func start(at netns.Place) (*server, error) {
	ctx := context.Background() // the server outlives the test that happens to come first
	s, err := prepareServer(ctx, at)
	if err != nil {
		return nil, err
	}
	return s, s.launch(ctx)
}

// prepareServer makes a server that does not run yet.
func prepareServer(ctx context.Context, at netns.Place) (*server, error) {
	place, datadir, lock, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	options := append(serverOptions(datadir),
		"--socket="+filepath.Join(datadir, "s"),
		"--pid-file="+filepath.Join(datadir, "pid"),
		"--log-error="+filepath.Join(datadir, "log"),
		"--bind-address="+at.Bind,
		"--port="+strconv.Itoa(port))
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr, cfg.User = "unix", place.path(filepath.Join(datadir, "s")), "root"
	cfg.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the connection: %w", err)
	}
	return &server{
		place: place, at: at, options: options, folder: place.path(datadir),
		admin: sql.OpenDB(connector), host: at.Bind, port: port, lock: lock,
	}, nil
}

// launch starts the process on the data folder, and waits until it answers.
func (s *server) launch(ctx context.Context) error {
	command := s.place.mysqld(ctx, s.options...)
	if len(s.under) > 0 {
		command = s.place.mysqldUnder(ctx, s.under, s.options...)
	}
	s.run = &run{cmd: command, started: make(chan struct{}), ended: make(chan error, 1)}
	go s.run.untilExit(s.at)
	if err := s.await(ctx, s.run.ended); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("%w: %s", err, text[max(0, len(text)-2000):])
	}
	return nil
}

// run is one process.
type run struct {
	cmd     *exec.Cmd
	started chan struct{}
	ended   chan error
}

// prepare installs MySQL where it is missing and makes a data folder for this process.
func prepare(ctx context.Context) (place installation, datadir string, lock *os.File, err error) {
	cache, free, err := lockCache()
	if err != nil {
		return installation{}, "", nil, err
	}
	defer func() { err = errors.Join(err, free()) }()
	place, err = install(ctx, cache)
	if err != nil {
		return installation{}, "", nil, err
	}
	removeAbandoned(place)
	datadir, lock, err = copyTemplate(ctx, place)
	return place, datadir, lock, err
}

// untilExit keeps its thread: the system ends the server with the thread that started it. A thread that has entered
// another namespace ends with its goroutine.
func (r *run) untilExit(at netns.Place) {
	runtime.LockOSThread()
	err := at.Enter()
	if err == nil {
		err = r.cmd.Start()
	}
	close(r.started)
	if err == nil {
		err = r.cmd.Wait()
	}
	r.ended <- err
}

func (s *server) await(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.admin.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for MySQL: %w", err)
		case err := <-ended:
			ended <- err // for whoever waits for the end
			return fmt.Errorf("MySQL ended: %w", errors.Join(err, errors.New("see its log")))
		case <-tick.C:
		}
	}
}

func (s *server) create(ctx context.Context) (Database, error) {
	s.mu.Lock()
	s.made++
	name := "test" + strconv.Itoa(s.made)
	s.mu.Unlock()
	db := s.reach(Database{Name: name, User: name, Password: awkwardPassword})
	for _, statement := range []string{
		"CREATE DATABASE " + name,
		"CREATE USER " + name + "@'%' IDENTIFIED BY " + quote(db.Password),
		"GRANT ALL ON " + name + ".* TO " + name + "@'%'",
	} {
		if _, err := s.admin.ExecContext(ctx, statement); err != nil {
			return Database{}, err
		}
	}
	return db, nil
}

// reach tells how a database of this server is reached.
func (s *server) reach(db Database) Database {
	db.Host, db.Port, db.CACertPath = s.host, s.port, filepath.Join(s.folder, "ca.pem")
	return db
}

func (s *server) drop(ctx context.Context, db Database) error {
	_, err := s.admin.ExecContext(ctx, "DROP DATABASE "+db.Name)
	_, userErr := s.admin.ExecContext(ctx, "DROP USER "+db.User+"@'%'")
	return errors.Join(err, userErr)
}

func quote(text string) string {
	quoted := []byte{'\''}
	for i := range len(text) {
		if text[i] == '\'' || text[i] == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, text[i])
	}
	return string(append(quoted, '\''))
}

// copyTemplate makes a data folder that this process owns for as long as it runs: the lock beside it says so.
func copyTemplate(ctx context.Context, place installation) (datadir string, lock *os.File, err error) {
	parent := filepath.Dir(templatePath)
	made, err := os.MkdirTemp(place.path(parent), "run-")
	if err != nil {
		return "", nil, fmt.Errorf("make a data folder: %w", err)
	}
	lock, err = lockFile(made + ".lock")
	if err != nil {
		return "", nil, err
	}
	copied := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", place.path(templatePath)+"/.", made)
	if _, err := fixture.Run(copied); err != nil {
		return "", nil, err
	}
	return filepath.Join(parent, filepath.Base(made)), lock, nil
}

// removeAbandoned removes the data folders of test processes that have ended.
func removeAbandoned(place installation) {
	locks, err := filepath.Glob(place.path(filepath.Join(filepath.Dir(templatePath), "run-*.lock")))
	if err != nil {
		return
	}
	for _, path := range locks {
		lock, err := lockFile(path)
		if err != nil {
			continue // in use
		}
		_ = os.RemoveAll(path[:len(path)-len(".lock")]) // the next start tries again
		_ = os.Remove(path)
		_ = lock.Close()
	}
}

func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), file.Close())
	}
	return file, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Address is host and port, as a dialler wants them.
func (d Database) Address() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.Port)) }
