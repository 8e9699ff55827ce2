package library

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/google/renameio/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// entriesBucket holds the entries as JSON, by ID.
var entriesBucket = []byte("entries")

// openDatabase opens the database and reads it all; a damaged one is set aside and
// rebuilt from the copies of its entries in the runs' folders.
func (l *Library) openDatabase() error {
	path := filepath.Join(l.dir, databaseName)
	db, entries, err := readDatabase(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return ErrInUse
	}
	if err == nil {
		l.db, l.entries = db, entries
		if len(entries) == 0 { // new, or the database was lost
			err = l.rebuild()
		}
		return err
	}
	if errors.Is(err, os.ErrPermission) {
		return err
	}
	aside := filepath.Join(l.dir, "damaged-"+time.Now().Format("20060102-150405.000")+".db")
	if renameErr := os.Rename(path, aside); renameErr != nil {
		return errors.Join(err, renameErr)
	}
	if db, _, err = readDatabase(path); err != nil {
		return err
	}
	l.db, l.entries = db, map[ID]Entry{}
	l.report.SetAside = aside
	return l.rebuild()
}

// readDatabase opens the database at path and reads every entry. bbolt panics on
// damaged pages, and a file that was cut short faults where it is mapped: both are
// errors here. What it had open then stays open, as closing would panic again.
func readDatabase(path string) (db *bbolt.DB, entries map[ID]Entry, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%s is damaged: %v", path, r)
		}
	}()
	db, err = bbolt.Open(path, 0o644, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return nil, nil, err
	}
	entries = map[ID]Entry{}
	err = db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(entriesBucket)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(key, value []byte) error {
			var e Entry
			if err := json.Unmarshal(value, &e); err != nil {
				return fmt.Errorf("%s: entry %q: %w", path, key, err)
			}
			if string(e.ID) != string(key) {
				return fmt.Errorf("%s: entry %q is called %q", path, key, e.ID)
			}
			entries[e.ID] = e
			return nil
		})
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, entries, nil
}

// rebuild fills an empty database from the runs' folders. A folder without a
// readable copy of its entry is left alone.
func (l *Library) rebuild() error {
	copies, err := filepath.Glob(filepath.Join(l.dir, runsName, "*", entryName))
	if err != nil {
		return err
	}
	for _, path := range copies {
		var e Entry
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &e) != nil || string(e.ID) != filepath.Base(filepath.Dir(path)) {
			continue
		}
		if err := l.store(e); err != nil {
			return err
		}
		l.entries[e.ID] = e
	}
	l.report.Rebuilt = len(l.entries)
	return nil
}

// store writes e to its folder, then to the database.
func (l *Library) store(e Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.Folder(e.ID), 0o755); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(l.Folder(e.ID), entryName), text, 0o644); err != nil {
		return err
	}
	return l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(entriesBucket).Put([]byte(e.ID), text) })
}

func (l *Library) forget(id ID) error {
	return l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(entriesBucket).Delete([]byte(id)) })
}
