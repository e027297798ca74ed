package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"
)

// RunFile is a row of run_files: a file of a run whose bytes are in the bucket.
type RunFile struct {
	bun.BaseModel `bun:"table:run_files,alias:f"`

	RunID ID     `bun:"run_id,pk"`
	Name  Text   `bun:"name,pk"`
	ID    ID     `bun:"id"`
	Size  int64  `bun:"size"`
	MD5   []byte `bun:"md5"`
	// Mimetype is as the client or the file's name says.
	Mimetype  Text   `bun:"mimetype"`
	UpdatedAt Micros `bun:"updated_at"`
}

// fileBatch is how many files one statement writes.
const fileBatch = 500

// PutRunFiles writes what is known of files of a run, in place of what was known before, and counts it as a change of the
// run. Names must be distinct. A file keeps its id.
func (s *Store) PutRunFiles(ctx context.Context, run ID, files []RunFile) error {
	return s.update(ctx, "write the files", func(ctx context.Context, tx bun.Tx) error {
		if err := touchRun(ctx, tx, run); err != nil {
			return err
		}
		for batch := range slices.Chunk(files, fileBatch) {
			if err := s.putRunFiles(ctx, tx, run, batch); err != nil {
				return err
			}
		}
		return nil
	})
}

// touchRun makes other changes of the run wait, and counts one.
func touchRun(ctx context.Context, tx bun.Tx, run ID) error {
	result, err := tx.NewUpdate().Model((*RunLive)(nil)).Set("rev = rev + 1").Where("run_id = ?", run).Exec(ctx)
	return affectedOne(result, err)
}

func (s *Store) putRunFiles(ctx context.Context, tx bun.Tx, run ID, files []RunFile) error {
	names := make([]Text, len(files))
	for i, file := range files {
		names[i] = file.Name
	}
	var known []RunFile
	err := tx.NewSelect().Model(&known).Column("name", "id").Where("run_id = ?", run).Where("name IN (?)", bun.List(names)).Scan(ctx)
	if err != nil {
		return err
	}
	ids := map[Text]ID{}
	for _, file := range known {
		ids[file.Name] = file.ID
	}
	rows := slices.Clone(files)
	for i := range rows {
		rows[i].RunID, rows[i].ID = run, ids[rows[i].Name]
		if rows[i].ID == 0 {
			rows[i].ID = s.ids.next()
		}
		if rows[i].MD5 == nil {
			rows[i].MD5 = []byte{}
		}
	}
	if len(known) > 0 {
		_, err := tx.NewDelete().Model((*RunFile)(nil)).Where("run_id = ?", run).Where("name IN (?)", bun.List(names)).Exec(ctx)
		if err != nil {
			return err
		}
	}
	_, err = tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// RunFilesByName returns those of the named files that exist, in no order.
func (s *Store) RunFilesByName(ctx context.Context, run ID, names []string) ([]RunFile, error) {
	var files []RunFile
	for batch := range slices.Chunk(names, fileBatch) {
		texts := make([]Text, len(batch))
		for i, name := range batch {
			texts[i] = Text(name)
		}
		var found []RunFile
		err := s.view(ctx, "read the files", func(db bun.IDB) error {
			return db.NewSelect().Model(&found).Where("run_id = ?", run).Where("name IN (?)", bun.List(texts)).Scan(ctx)
		})
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// RunFiles returns up to limit files of a run whose names follow after, in the order of their bytes.
func (s *Store) RunFiles(ctx context.Context, run ID, after string, limit int) ([]RunFile, error) {
	var files []RunFile
	err := s.view(ctx, "read the files", func(db bun.IDB) error {
		return db.NewSelect().Model(&files).Where("run_id = ?", run).Where("name > ?", Text(after)).
			Order("name").Limit(int64(limit)).Scan(ctx)
	})
	return files, err
}

// RunFileCounts returns how many files each of the runs has; those without are absent.
func (s *Store) RunFileCounts(ctx context.Context, runs []ID) (map[ID]int64, error) {
	var rows []struct {
		RunID ID    `bun:"run_id"`
		N     int64 `bun:"n"`
	}
	err := s.view(ctx, "count the files", func(db bun.IDB) error {
		return db.NewSelect().Model((*RunFile)(nil)).Column("run_id").ColumnExpr("COUNT(*) AS n").
			Where("run_id IN (?)", bun.List(runs)).Group("run_id").Scan(ctx, &rows)
	})
	counts := make(map[ID]int64, len(rows))
	for _, row := range rows {
		counts[row.RunID] = row.N
	}
	return counts, err
}

// RunFilesByID returns those of the files that exist.
func (s *Store) RunFilesByID(ctx context.Context, ids []ID) ([]RunFile, error) {
	var files []RunFile
	err := s.view(ctx, "read the files", func(db bun.IDB) error {
		return db.NewSelect().Model(&files).Where("id IN (?)", bun.List(ids)).Scan(ctx)
	})
	return files, err
}

// DeleteRunFiles forgets files of a run.
func (s *Store) DeleteRunFiles(ctx context.Context, run ID, ids []ID) error {
	return s.update(ctx, "delete the files", func(ctx context.Context, tx bun.Tx) error {
		if err := touchRun(ctx, tx, run); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*RunFile)(nil)).Where("run_id = ?", run).Where("id IN (?)", bun.List(ids)).Exec(ctx)
		return err
	})
}
