package main

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

const (
	snapBytes   = 128 << 10 // of users in a frame of a snapshot, at most one frame more
	snapHistory = 4000      // newest epochs that are told
	snapWindow  = 256       // entries of the request-id window in a frame
)

// snapshot is a shard as a scan has it.
type snapshot struct {
	last    uint64
	history []shard.Position
}

// feedSnapshot sends a backup the whole shard as the scan has it, with the request ids up to there, and reports its
// LSN. The scan was opened by the replica's loop, so that it is no older than what the core knows to be applied.
func feedSnapshot(node *Node, handles *Handles, peers *Peers, s int, fx replica.Effect, scan store.Scan,
	window []shard.Entry) {
	defer store.CloseScan(scan)
	link := peers.Links[peerOf(node.Layout, s, node.Self)]
	link.Turn <- struct{}{}
	defer func() { <-link.Turn }()
	meta, damage := snapshot{}, error(nil)
	frame := func(kind wire.Kind) *wire.Message {
		return &wire.Message{Kind: kind, Shard: uint64(s), Epoch: fx.Epoch}
	}
	readMeta := func(key, value []byte) bool {
		meta = noteMeta(meta, key, value)
		return key[0] == store.MetaPrefix
	}
	err := store.WalkScan(scan, []byte{store.MetaPrefix}, 0, readMeta)
	begin := frame(wire.SnapBegin)
	begin.LSN = meta.last
	sendPaced(node, link, fx.Stream, []*wire.Message{begin})
	data, size := frame(wire.SnapData), 0
	readUser := func(key, value []byte) bool {
		id, isUser := shard.KeyID(key)
		r, bad := store.DecodeValue(value)
		if !isUser || bad != nil {
			damage = bad
			return isUser && bad == nil
		}
		r.ID = id
		data.Records = append(data.Records, wire.Record(r))
		if size += len(key) + len(value); size > snapBytes || len(data.Records) == 1000 {
			sendPaced(node, link, fx.Stream, []*wire.Message{data})
			data, size = frame(wire.SnapData), 0
		}
		return true
	}
	if err == nil {
		err = store.WalkScan(scan, []byte{shard.UserPrefix}, 0, readUser)
	}
	if err != nil || damage != nil {
		node.Log.Error("the shard cannot be read for its backup", "shard", s, "error", err, "damage", damage)
		if store.IsDamage(err) {
			handles.ByShard[s].In <- []*replica.Event{{Kind: replica.DataDamaged, Shard: s, Reason: err.Error()}}
		}
		breakLink(link, fx.Stream)
		return
	}
	if len(data.Records) > 0 {
		sendPaced(node, link, fx.Stream, []*wire.Message{data})
	}
	sendPaced(node, link, fx.Stream, endFrames(s, fx.Epoch, meta.last, meta.history, window))
	node.Log.Info("the backup was sent the whole shard", "shard", s, "lsn", meta.last)
	handles.ByShard[s].In <- []*replica.Event{{Kind: replica.FeedDone, Shard: s, Stream: fx.Stream, Epoch: fx.Epoch,
		LSN: meta.last}}
}

// sendPaced sends frames of a snapshot no faster than the setting allows, so that it gives way to requests (rule R17).
func sendPaced(node *Node, link *linkHandle, stream uint64, frames []*wire.Message) {
	for _, m := range frames {
		size := post(link, stream, m)
		if size == 0 {
			return
		}
		time.Sleep(paceOf(node.Config, size))
	}
}

// noteMeta returns the snapshot with what a key of the meta says.
func noteMeta(s snapshot, key, value []byte) snapshot {
	switch name := string(key[:min(len(key), 2)]); {
	case name == store.MetaBucket:
		_, lsn, _ := store.ReadBucket(value)
		s.last = max(s.last, lsn)
	case name == store.MetaEpoch && len(key) == 10 && len(value) == 8:
		s.history = append(s.history, shard.Position{Epoch: binary.BigEndian.Uint64(key[2:]),
			LSN: binary.BigEndian.Uint64(value)})
	}
	return s
}

// endFrames makes the last frames of a snapshot: those with LSN 0 bring parts of the request-id window, the last one
// says that it is whole.
func endFrames(s int, epoch, last uint64, history []shard.Position, window []shard.Entry) []*wire.Message {
	frames := []*wire.Message{}
	var m *wire.Message
	size := 0
	for i := range window {
		n := &window[i]
		if n.LSN > last {
			continue
		}
		if m == nil || size > snapBytes || len(m.Entries) == snapWindow {
			m, size = &wire.Message{Kind: wire.SnapEnd, Shard: uint64(s), Epoch: epoch}, 0
			frames = append(frames, m)
		}
		m.Entries = append(m.Entries, wire.Entry(*n))
		size += sizeOf(n)
	}
	end := &wire.Message{Kind: wire.SnapEnd, Shard: uint64(s), Epoch: epoch, LSN: last}
	for _, h := range history[max(0, len(history)-snapHistory):] {
		end.History = append(end.History, wire.LogPosition(h))
	}
	return append(frames, end)
}

// windowOf copies the request-id window as entries, so that it may leave the loop.
func windowOf(state *replica.State) []shard.Entry {
	entries := make([]shard.Entry, 0, len(state.Log.Window))
	for request, done := range state.Log.Window {
		r := &done.Reply.Record
		entries = append(entries, shard.Entry{Request: request, Result: done.Reply.Result, ID: r.ID, Name: r.Name,
			Email: r.Email, Group: r.Group, Epoch: r.Epoch, LSN: done.LSN, Wall: done.Wall})
	}
	slices.SortFunc(entries, func(a, b shard.Entry) int { return cmp.Compare(a.LSN, b.LSN) })
	return entries
}
