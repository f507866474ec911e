package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tandem/shard"
)

// Loaded is what a replica's loop starts from.
type Loaded struct {
	Last   uint64 // LSN of the last stored write
	Counts buckets
	Log    []shard.Entry // of the request-id window, oldest first
}

// windowRecords is how many RocksDB records back the log is read for the request-id window: more than are written in
// shard.RememberFor.
const windowRecords = 1 << 20

// loadReplicas reads the meta of the shards held; the result is by shard.
func loadReplicas(st Store, l shard.Layout, held []int) ([]Loaded, error) {
	loaded := make([]Loaded, l.Shards)
	for _, s := range held {
		var damaged error
		see := func(key, value []byte) bool {
			switch {
			case key[0] != metaPosition[0]:
				return false
			case string(key) == metaPosition && len(value) == 16:
				loaded[s].Last = binary.BigEndian.Uint64(value[8:])
			case len(key) == len(metaBucket)+1 && string(key[:len(metaBucket)]) == metaBucket && len(value) == 8:
				loaded[s].Counts[key[len(metaBucket)]] = binary.BigEndian.Uint64(value)
			default:
				damaged = fmt.Errorf("%w: meta key %q of shard %d with %d bytes", ErrStore, key, s, len(value))
			}
			return true
		}
		err := walk(st, s, []byte("m"), 0, see)
		if err = errors.Join(err, damaged); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}

// loadWindows reads the newest part of the WAL for the request ids that a gateway may still send again (rule R18). Stamps after now
// were made before the machine restarted, when every deadline of then was over.
func loadWindows(st Store, loaded []Loaded, now int64) ([]Loaded, error) {
	tail := latest(st)
	if tail == 0 {
		return loaded, nil
	}
	parts, quit := make(chan Logged, logAhead), make(chan struct{})
	defer close(quit)
	go streamLog(st, tail-min(tail, windowRecords), parts, quit)
	for p := range parts {
		if p.Err != nil {
			return loaded, p.Err
		}
		recent := p.Stamp <= now && p.Stamp > now-shard.RememberFor
		if recent && p.Shard < len(loaded) {
			loaded[p.Shard].Log = append(loaded[p.Shard].Log, p.Entries...)
		}
	}
	return loaded, nil
}
