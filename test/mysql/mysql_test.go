package mysql_test

import (
	"database/sql"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/kubewandb/kubewandb/test/mysql"
)

func TestStartGivesEachCallerAnEmptyDatabaseOfItsOwn(t *testing.T) {
	first, second := mysql.Start(t), mysql.Start(t)
	if first.Name == second.Name {
		t.Fatalf("both databases are %s", first.Name)
	}
	for _, place := range []mysql.Database{first, second} {
		db := connect(t, place)
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE things (id BIGINT PRIMARY KEY)"); err != nil {
			t.Fatalf("create a table in %s: %v", place.Name, err)
		}
	}
	if _, err := connect(t, first).ExecContext(t.Context(), "SELECT * FROM "+second.Name+".things"); err == nil {
		t.Error("the user of one database reads another")
	}
}

func connect(t *testing.T, place mysql.Database) *sql.DB {
	t.Helper()
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr = "tcp", place.Address()
	cfg.User, cfg.Passwd, cfg.DBName = place.User, place.Password, place.Name
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestAnInstanceComesBackWithWhatWasCommitted(t *testing.T) {
	instance := mysql.StartInstance(t)
	place := instance.Database(t)
	db := connect(t, place)
	for _, statement := range []string{"CREATE TABLE things (id BIGINT PRIMARY KEY)", "INSERT INTO things VALUES (7)"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := instance.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var id int
	if err := connect(t, place).QueryRowContext(t.Context(), "SELECT id FROM things").Scan(&id); err != nil || id != 7 {
		t.Errorf("after the restart: %d, %v", id, err)
	}
}
