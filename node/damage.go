package main

import (
	"maps"
	"slices"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/wire/proc"
)

// salvage lets a start that met damage begin anew, without compactions and knowing of it. It returns if that is not
// what went wrong.
func salvage(s starting) starting {
	if !store.IsDamage(s.err) {
		return s
	}
	wiring := s.wiring
	found := store.Suspects(wiring.DB, wiring.Member, s.err)
	marks, err := store.ReadMarks(wiring.Config.Data)
	for lost, m := range found {
		marks = store.AddMark(marks, lost, m)
	}
	if len(found) == 0 || err != nil || store.WriteMarks(wiring.Config.Data, marks) != nil {
		return s
	}
	wiring.Log.Error("the data of shards is damaged; the node starts anew, and they are filled again from whole copies",
		"shards", slices.Sorted(maps.Keys(found)), "error", s.err)
	proc.StopIf(wiring.Output, proc.StartAnew(wiring.Output))
	return s
}

// damageNote tells the loop of the marks that a copy of a shard is damaged, or that it is dropped with its files.
type damageNote struct {
	shard   int
	mark    shard.Mark
	dropped bool
	done    chan<- int // told how many marks are left, when the file says so; nil if nobody waits
}

// runDamage is the loop that owns the marks and their file, so that a restart knows what is damaged.
func runDamage(node *Node, storage *Storage) {
	marks := maps.Clone(storage.Marks)
	for note := range storage.Damage {
		known := marks[note.shard].Copy == note.mark.Copy && marks[note.shard].Reason != ""
		switch {
		case note.dropped:
			delete(marks, note.shard)
		case !known:
			marks[note.shard] = note.mark
		}
		err := error(nil)
		if note.dropped || !known {
			err = store.SaveMarks(storage.DB, node.Config.Data, marks)
		}
		for ; err != nil; err = store.SaveMarks(storage.DB, node.Config.Data, marks) {
			node.Log.Error("the damage of a shard cannot be noted; trying again", "shard", note.shard, "error", err)
			time.Sleep(retryDisk)
		}
		if note.done != nil {
			note.done <- len(marks)
		}
	}
}

// renew drops a shard's copy with its files and makes an empty one in its place, in order with what the disk's loop
// writes; the mark of the former copy goes with it. Nothing is filled in before this is done, so that no mark outlives
// its reason. With the last mark compactions begin again. Error: ErrStore.
func renew(node *Node, storage *Storage, db store.DB, s int) (store.DB, error) {
	node.Log.Warn("the data of a shard is damaged; it is dropped, and filled again from the other node", "shard", s)
	db, err := store.RenewFamily(db, s)
	if err != nil {
		return db, err
	}
	left := make(chan int, 1)
	storage.Damage <- damageNote{shard: s, dropped: true, done: left}
	if <-left > 0 {
		return db, nil
	}
	if storage.Lenient {
		select {
		case node.Again <- "what could not be read is gone; the store is opened anew with all checks":
		default:
		}
	}
	return db, store.StartCompactions(db)
}
