package main

import (
	"encoding/binary"
	"time"

	"tandem/node/store"
	"tandem/shard/lease"
)

// outwait waits until what this store's former process has promised is over, if it kept its promises for longer than
// this one does, and notes for how long this one does.
func outwait(node *Node, storage *Storage) error {
	value, err := store.GetLocal(storage.DB, store.GraceKey)
	if err != nil {
		return err
	}
	former, grace := int64(0), int64(node.Config.Grace)
	if len(value) == 8 {
		former = int64(binary.BigEndian.Uint64(value))
	}
	if wait := time.Duration(lease.WaitOut(former, grace)); wait > 0 {
		node.Log.Warn("waiting until what was promised under a longer --grace is over",
			"wait", wait, "grace", node.Config.Grace)
		time.Sleep(wait)
	}
	if former == grace {
		return nil
	}
	return store.PutLocal(storage.DB, store.GraceKey, binary.BigEndian.AppendUint64(nil, uint64(grace)))
}
