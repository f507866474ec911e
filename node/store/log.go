package store

import (
	"fmt"
	"strings"

	"github.com/linxGnu/grocksdb"
)

// LastSequence returns the WAL sequence of the last write.
func LastSequence(db DB) uint64 { return db.rocks.GetLatestSequenceNumber() }

// LogReader is an open read of the WAL. It must be closed.
type LogReader struct{ it *grocksdb.WalIterator }

// OpenLog opens the WAL at the batch that holds a sequence, or at the oldest one that is left. Error: ErrStore.
func OpenLog(db DB, from uint64) (LogReader, error) {
	it, err := db.rocks.GetUpdatesSince(max(from, 1))
	if err != nil {
		return LogReader{}, fmt.Errorf("%w: opening the WAL at %d: %w", ErrStore, from, err)
	}
	return LogReader{it}, nil
}

// CloseLog closes an open read; of none there is nothing to close.
func CloseLog(log LogReader) {
	if log.it != nil {
		log.it.Destroy()
	}
}

// NextBatch reads the next batch of the WAL into b, and returns nil at the end of the log as it was when it was opened.
// Error: ErrStore.
func NextBatch(log LogReader, b []byte) ([]byte, error) {
	if !log.it.Valid() {
		err := log.it.Err()
		// it goes on in a file that is newer than this reading
		if err == nil || strings.Contains(err.Error(), "Try again") {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: reading the WAL: %w", ErrStore, err)
	}
	batch, _ := log.it.GetBatch()
	b = append(b[:0], batch.Data()...)
	batch.Destroy()
	log.it.Next()
	return b, nil
}
