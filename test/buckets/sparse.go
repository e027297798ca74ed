package buckets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sparseUnit is what is looked at at once.
const sparseUnit = 1 << 20

// Dig gives the room back to the disk that zeros take in the files of a folder, whose content stays the same: a store that
// is sent zeros then costs little. The store may write meanwhile.
func Dig(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ignoreGone(err)
		}
		return ignoreGone(digFile(path))
	})
}

// ignoreGone is for files that a store has removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func digFile(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer, zeros := make([]byte, sparseUnit), make([]byte, sparseUnit)
	for at := int64(0); ; at += sparseUnit {
		if at, err = unix.Seek(int(file.Fd()), at, unix.SEEK_DATA); err != nil {
			if errors.Is(err, unix.ENXIO) { // there is no more
				return nil
			}
			return fmt.Errorf("find the data of %s: %w", path, err)
		}
		at -= at % sparseUnit
		if n, err := file.ReadAt(buffer, at); n < sparseUnit {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if !bytes.Equal(buffer, zeros) {
			continue
		}
		if err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, sparseUnit); err != nil {
			return fmt.Errorf("dig in %s: %w", path, err)
		}
	}
}
