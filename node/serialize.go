package main

import (
	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
)

// serializer makes parts of a batch of what a replica wants stored, and keeps its counts.
type serializer func(l shard.Layout, r *owned, fx *replica.Effect, now int64) []store.Part

// serializers are the effects that go to the disk. The table never changes.
var serializers = map[replica.EffectKind]serializer{
	replica.Persist: storeEntries, replica.Wipe: storeNothing, replica.Drop: dropCopy,
	replica.PersistRecords: storeRecords,
	replica.PersistHistory: storeWhole,
}

// storeEntries makes a part for each epoch of the entries.
func storeEntries(l shard.Layout, r *owned, fx *replica.Effect, now int64) (parts []store.Part) {
	s, family := r.state.Shard, store.FamilyID(r.db, r.state.Shard)
	for rest := fx.Entries; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Epoch == rest[0].Epoch {
			n++
		}
		part := store.EntriesPart(l, s, family, rest[:n], rest[0].Epoch != r.epoch, &r.counts, now)
		for i := range rest[:n] {
			_, bucket := shard.ShardOf(l, rest[i].ID)
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
func storeNothing(_ shard.Layout, r *owned, _ *replica.Effect, _ int64) []store.Part {
	// until the disk reports it, every bucket is in doubt
	r.counts, r.last = store.Buckets{}, store.Buckets{}
	r.users, r.epoch = 0, 0
	return []store.Part{store.WipePart(r.state.Shard, store.FamilyID(r.db, r.state.Shard))}
}

// dropCopy drops all that is stored of the shard, and its files.
func dropCopy(_ shard.Layout, r *owned, _ *replica.Effect, _ int64) []store.Part {
	// until the disk reports it, every bucket is in doubt
	r.counts, r.last = store.Buckets{}, store.Buckets{}
	r.users, r.epoch = 0, 0
	return []store.Part{{Shard: r.state.Shard, Wiped: true, Renewed: true}}
}

// storeRecords makes a part of some users of a snapshot.
func storeRecords(l shard.Layout, r *owned, fx *replica.Effect, _ int64) []store.Part {
	r.last = allOf(shard.Unsettled)
	part := store.RecordsPart(l, r.state.Shard, store.FamilyID(r.db, r.state.Shard), fx.Records, &r.counts)
	r.users += uint64(len(fx.Records))
	return []store.Part{part}
}

// storeWhole makes the part that says that a snapshot is whole.
func storeWhole(_ shard.Layout, r *owned, fx *replica.Effect, _ int64) []store.Part {
	r.epoch, r.last = fx.LastEpoch, allOf(fx.LSN)
	return []store.Part{store.WholePart(r.state.Shard, store.FamilyID(r.db, r.state.Shard), fx, r.counts)}
}

// allOf gives every bucket the same value.
func allOf(value uint64) (all store.Buckets) {
	for i := range all {
		all[i] = value
	}
	return all
}
