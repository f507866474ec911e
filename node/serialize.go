package main

import (
	"tandem/shard"
	"tandem/shard/replica"
)

// serializer makes parts of a batch of what a replica wants stored, and keeps its counts.
type serializer func(room *Room, r *owned, fx *replica.Effect, now int64) []Part

// serializers are the effects that go to the disk. The table never changes.
var serializers = map[replica.EffectKind]serializer{
	replica.Persist: storeEntries, replica.Wipe: storeNothing, replica.Drop: dropCopy, replica.PersistRecords: storeRecords,
	replica.PersistHistory: storeWhole,
}

// storeEntries makes a part for each epoch of the entries.
func storeEntries(room *Room, r *owned, fx *replica.Effect, now int64) (parts []Part) {
	s, family := r.state.Shard, r.store.ids[r.state.Shard]
	for rest := fx.Entries; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Epoch == rest[0].Epoch {
			n++
		}
		part := buildPart(room.Layout, s, family, rest[:n], rest[0].Epoch != r.epoch, &r.counts, now)
		for i := range rest[:n] {
			_, bucket := shard.ShardOf(room.Layout, rest[i].ID)
			r.last[bucket] = rest[i].LSN
			switch rest[i].Result {
			case shard.Created:
				r.users++
			case shard.Deleted:
				r.users--
			}
		}
		r.epoch, rest, parts = rest[0].Epoch, rest[n:], append(parts, part)
	}
	return parts
}

// storeNothing drops all that is stored of the shard.
func storeNothing(_ *Room, r *owned, _ *replica.Effect, _ int64) []Part {
	// until the disk reports it, every bucket is in doubt
	r.counts, r.last, r.users, r.epoch = buckets{}, buckets{}, 0, 0
	return []Part{wipePart(r.state.Shard, r.store.ids[r.state.Shard])}
}

// dropCopy drops all that is stored of the shard, and its files.
func dropCopy(_ *Room, r *owned, _ *replica.Effect, _ int64) []Part {
	// until the disk reports it, every bucket is in doubt
	r.counts, r.last, r.users, r.epoch = buckets{}, buckets{}, 0, 0
	return []Part{{Shard: r.state.Shard, Wiped: true, Renewed: true}}
}

// storeRecords makes a part of some users of a snapshot.
func storeRecords(room *Room, r *owned, fx *replica.Effect, _ int64) []Part {
	r.last = allOf(shard.Unsettled)
	part := recordsPart(room.Layout, r.state.Shard, r.store.ids[r.state.Shard], fx.Records, &r.counts)
	r.users += uint64(len(fx.Records))
	return []Part{part}
}

// storeWhole makes the part that says that a snapshot is whole.
func storeWhole(_ *Room, r *owned, fx *replica.Effect, _ int64) []Part {
	r.epoch, r.last = fx.LastEpoch, allOf(fx.LSN)
	return []Part{wholePart(r.state.Shard, r.store.ids[r.state.Shard], fx, r.counts)}
}

// allOf gives every bucket the same value.
func allOf(value uint64) (all buckets) {
	for i := range all {
		all[i] = value
	}
	return all
}
