package store

import (
	"bytes"
	"fmt"

	"github.com/linxGnu/grocksdb"
)

// Scan is an open reading of a shard as it was when it was opened, whatever becomes of the shard since. It must be
// closed. One goroutine reads it at a time.
type Scan struct{ it *grocksdb.Iterator }

// OpenScan opens a scan of shard s, which takes some microseconds.
func OpenScan(db DB, s int) Scan { return Scan{db.rocks.NewIteratorCF(db.scan, db.families[s])} }

// OpenPastWipes opens a scan of shard s, of which a file cannot be opened, as BadFiles says. What was deleted as a
// whole shows, if a file that can be read still has it.
func OpenPastWipes(db DB, s int) Scan { return Scan{db.rocks.NewIteratorCF(db.look, db.families[s])} }

// CloseScan closes a scan, which is used no more.
func CloseScan(scan Scan) { scan.it.Close() }

// WalkScan calls see with each key and value of a scan from start on but the first skip of them, both valid during the
// call only, until see returns false. Error: ErrStore.
func WalkScan(scan Scan, start []byte, skip uint64, see func(key, value []byte) bool) error {
	for scan.it.Seek(start); skip > 0 && scan.it.Valid(); skip-- {
		scan.it.Next()
	}
	for ; scan.it.Valid(); scan.it.Next() {
		key, value := scan.it.Key(), scan.it.Value()
		more := see(key.Data(), value.Data())
		if !more {
			return nil
		}
	}
	if err := scan.it.Err(); err != nil {
		return fmt.Errorf("%w: walking a shard: %w", ErrStore, err)
	}
	return nil
}

// GetFrom returns a copy of the value of a key that a scan has; nil where there is none. Error: ErrStore.
func GetFrom(scan Scan, key []byte) ([]byte, error) {
	scan.it.Seek(key)
	if err := scan.it.Err(); err != nil {
		return nil, fmt.Errorf("%w: reading a scan: %w", ErrStore, err)
	}
	if !scan.it.Valid() || !bytes.Equal(scan.it.Key().Data(), key) {
		return nil, nil
	}
	return bytes.Clone(scan.it.Value().Data()), nil
}
