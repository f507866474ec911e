package main

import (
	"fmt"
	"strings"

	"github.com/linxGnu/grocksdb"
)

// latest returns the WAL sequence of the last write.
func latest(st Store) uint64 { return st.db.GetLatestSequenceNumber() }

// LogScan is an open read of the WAL. It must be closed.
type LogScan struct{ it *grocksdb.WalIterator }

// openLog opens the WAL at the batch that holds a sequence, or at the oldest one that is left.
func openLog(st Store, from uint64) (LogScan, error) {
	it, err := st.db.GetUpdatesSince(max(from, 1))
	if err != nil {
		return LogScan{}, fmt.Errorf("%w: opening the WAL at %d: %w", ErrStore, from, err)
	}
	return LogScan{it}, nil
}

// closeLog closes an open read; of none there is nothing to close.
func closeLog(log LogScan) {
	if log.it != nil {
		log.it.Destroy()
	}
}

// nextBatch reads the next batch of the WAL into b, and returns nil at the end of the log as it was when it was opened.
func nextBatch(log LogScan, b []byte) ([]byte, error) {
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
