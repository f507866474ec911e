package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/linxGnu/grocksdb"

	"tandem/shard"
	"tandem/shard/views"
)

// ErrStore is the class of everything that RocksDB refuses.
var ErrStore = errors.New("store")

// Store is an open database: handles only, nothing in it changes.
type Store struct {
	db       *grocksdb.DB
	families []*grocksdb.ColumnFamilyHandle // by shard; nil where no replica is held
	ids      []uint32                       // of the column families, by shard
	raft     *grocksdb.ColumnFamilyHandle   // the council's saved state
	raftID   uint32
	options  *grocksdb.Options
	read     *grocksdb.ReadOptions
	scan     *grocksdb.ReadOptions
	look     *grocksdb.ReadOptions // for iterators that may meet a file that cannot be opened
	sync     *grocksdb.WriteOptions
}

// walFileMB is the size at which the memtables of a full WAL file are flushed.
const walFileMB = 16

// The shards of a node share a WAL file, so a memtable seldom becomes larger than this before its file is full. RocksDB
// reserves disk for the WAL in steps of about this size.
const (
	memtableMB = 4
	memtables  = 16 // of a shard that may wait to be flushed
)

// memtableFilter is the share of a memtable that its Bloom filter takes.
const memtableFilter = 0.02

// hintBytes is how many bytes a key has before what follows the bucket. No range may be deleted that begins with those
// of a key (wipePart).
const hintBytes = 3

// databaseOptions returns the options of the database, and those of each column family, which are the same.
func databaseOptions(c Config) *grocksdb.Options {
	table := grocksdb.NewDefaultBlockBasedTableOptions()
	table.SetBlockCache(grocksdb.NewLRUCache(c.CacheMB << 20))
	table.SetFilterPolicy(grocksdb.NewBloomFilterFull(10))
	table.SetBlockSize(16 << 10)
	table.SetFormatVersion(5)
	o := grocksdb.NewDefaultOptions()
	o.SetBlockBasedTableFactory(table)
	o.SetCreateIfMissing(true)
	o.SetCompression(grocksdb.LZ4Compression)
	o.SetBottommostCompression(grocksdb.ZSTDCompression)
	o.SetWriteBufferSize(memtableMB << 20)
	o.SetMaxWriteBufferNumber(memtables)
	o.SetDbWriteBufferSize(64 << 20)
	o.SetManifestPreallocationSize(64 << 10) // the default reserves 4 MiB
	o.SetMaxTotalWalSize(walFileMB << 20)
	// The archive is limited as a number of files of the largest size, so a limit below some files would keep none; the
	// TTL stays at 0 because a clock that is set back would wipe it.
	o.SetWalSizeLimitMb(max(c.WalKeepMB, 64*walFileMB))
	o.SetRecycleLogFileNum(0)
	o.SetAllowConcurrentMemtableWrites(false) // there is one writer
	o.SetMaxBackgroundJobs(2)
	// Most users that a create looks for are not there; the filter says so without a search of the memtable.
	o.SetMemTablePrefixBloomSizeRatio(memtableFilter)
	o.SetMemtableWholeKeyFiltering(true)
	// Its log lies in the data folder, and a line that a full disk cuts off trips an assertion.
	o.SetInfoLogLevel(grocksdb.FatalInfoLogLevel)
	o.SetKeepLogFileNum(4)
	o.SetMaxLogFileSize(16 << 20)
	return o
}

// logModes is how RocksDB reads its log, by how that ends. Its default cuts the log at the first bad place without a
// word.
var logModes = map[shard.LogEnd]grocksdb.WALRecoveryMode{
	shard.CleanEnd: grocksdb.AbsoluteConsistencyRecovery, shard.TornEnd: grocksdb.PointInTimeRecovery,
	shard.DamagedEnd: grocksdb.SkipAnyCorruptedRecordsRecovery,
}

// openOptions adds to o how the store is to be opened. Merges are off while something is damaged: to merge a damaged
// file ends all writing.
func openOptions(o *grocksdb.Options, try shard.OpenTry, merges bool) *grocksdb.Options {
	o.SetWALRecoveryMode(logModes[try.Log])
	o.SetParanoidChecks(!try.Lenient)
	o.SetDisableAutoCompactions(!merges)
	// A key's place in a memtable is looked for from where the last key with the same beginning went, and not in all of
	// it: a bucket's record stands where it stood before, a user among those of the bucket. And the manifest notes
	// which log files there are and how long those are that are no longer written to. The binding has no function for
	// either.
	full, err := grocksdb.GetOptionsFromString(o,
		fmt.Sprintf("memtable_insert_with_hint_prefix_extractor=capped:%d;track_and_verify_wals_in_manifest=%t",
			hintBytes, !try.Lenient))
	if err != nil {
		panic("RocksDB refuses a setting that it has: " + err.Error())
	}
	return full
}

// raftFamily is the column family of the council's saved state.
const raftFamily = "raft"

// familyFormat makes of a shard's number the name of its column family.
const familyFormat = "shard-%02d"

func familyName(s int) string { return fmt.Sprintf(familyFormat, s) }

// opener is a way to open a database with all its column families.
type opener func(o *grocksdb.Options, path string, names []string, options []*grocksdb.Options) (
	*grocksdb.DB, []*grocksdb.ColumnFamilyHandle, error)

// openToWrite is how a node opens its database.
func openToWrite(o *grocksdb.Options, path string, names []string, options []*grocksdb.Options) (
	*grocksdb.DB, []*grocksdb.ColumnFamilyHandle, error) {
	return grocksdb.OpenDbColumnFamilies(o, path, names, options)
}

// openReadOnly is an opener that changes nothing in the folder.
func openReadOnly(o *grocksdb.Options, path string, names []string, options []*grocksdb.Options) (
	*grocksdb.DB, []*grocksdb.ColumnFamilyHandle, error) {
	return grocksdb.OpenDbForReadOnlyColumnFamilies(o, path, names, options, false)
}

// openStore opens the database in folder c.Data, or makes one where fresh says that there is none. Error: ErrStore.
func openStore(c Config, try shard.OpenTry, merges, fresh bool, open opener) (Store, error) {
	base := databaseOptions(c)
	base.SetCreateIfMissing(fresh)
	o := openOptions(base, try, merges)
	names, err := []string{"default"}, error(nil)
	if !fresh {
		names, err = grocksdb.ListColumnFamilies(o, c.Data)
	}
	if err != nil {
		return Store{}, fmt.Errorf("%w: opening %s: %w", ErrStore, c.Data, err)
	}
	db, handles, err := open(o, c.Data, names, slices.Repeat([]*grocksdb.Options{o}, len(names)))
	if err != nil {
		return Store{}, fmt.Errorf("%w: opening %s: %w", ErrStore, c.Data, err)
	}
	return storeOf(c, o, db, names, handles), nil
}

// storeOf makes a store of a database's handles, which are those of the column families with these names.
func storeOf(c Config, o *grocksdb.Options, db *grocksdb.DB, names []string,
	handles []*grocksdb.ColumnFamilyHandle) Store {
	st := Store{db: db, families: make([]*grocksdb.ColumnFamilyHandle, c.Shards), ids: make([]uint32, c.Shards),
		options: o,
		read:    grocksdb.NewDefaultReadOptions(), scan: grocksdb.NewDefaultReadOptions(),
		look: grocksdb.NewDefaultReadOptions(), sync: grocksdb.NewDefaultWriteOptions()}
	st.sync.SetSync(true)
	st.scan.SetReadaheadSize(256 << 10)
	st.look.SetIgnoreRangeDeletions(true)
	for at, name := range names {
		s := 0
		if n, _ := fmt.Sscanf(name, familyFormat, &s); n == 1 && s < c.Shards {
			st.families[s], st.ids[s] = handles[at], handles[at].ID()
		}
		if name == raftFamily {
			st.raft, st.raftID = handles[at], handles[at].ID()
		}
	}
	return st
}

// addFamilies returns the store with a column family for the council and for each shard in held, making those that are
// missing.
func addFamilies(st Store, held []int) (Store, error) {
	st.families, st.ids = slices.Clone(st.families), slices.Clone(st.ids)
	if st.raft == nil {
		family, err := st.db.CreateColumnFamily(st.options, raftFamily)
		if err != nil {
			return st, fmt.Errorf("%w: making %s: %w", ErrStore, raftFamily, err)
		}
		st.raft, st.raftID = family, family.ID()
	}
	for _, s := range held {
		if st.families[s] != nil {
			continue
		}
		family, err := st.db.CreateColumnFamily(st.options, familyName(s))
		if err != nil {
			return st, fmt.Errorf("%w: making %s: %w", ErrStore, familyName(s), err)
		}
		st.families[s], st.ids[s] = family, family.ID()
	}
	return st, nil
}

// renewFamily drops the column family of shard s with all its files, unread, and makes an empty one in its place.
// Nothing may be written meanwhile. The old handle stays open for whoever reads by it, who closes it; until then the
// files stay. Error: ErrStore.
func renewFamily(st Store, s int) (Store, error) {
	name := st.families[s].Name()
	if err := st.db.DropColumnFamily(st.families[s]); err != nil {
		return st, fmt.Errorf("%w: dropping %s: %w", ErrStore, name, err)
	}
	family, err := st.db.CreateColumnFamily(st.options, name)
	if err != nil {
		return st, fmt.Errorf("%w: making %s: %w", ErrStore, name, err)
	}
	st.families, st.ids = slices.Clone(st.families), slices.Clone(st.ids)
	st.families[s], st.ids[s] = family, family.ID()
	return st, nil
}

// renewRaft is renewFamily for Raft's saved state; nobody else may have it open.
func renewRaft(st Store) (Store, error) {
	if err := st.db.DropColumnFamily(st.raft); err != nil {
		return st, fmt.Errorf("%w: dropping %s: %w", ErrStore, raftFamily, err)
	}
	st.raft.Destroy()
	family, err := st.db.CreateColumnFamily(st.options, raftFamily)
	if err != nil {
		return st, fmt.Errorf("%w: making %s: %w", ErrStore, raftFamily, err)
	}
	st.raft, st.raftID = family, family.ID()
	return st, nil
}

// takeFamily returns st with the column family of shard s that another value of the store has, and closes the former
// one's handle.
func takeFamily(st, renewed Store, s int) Store {
	st.families[s].Destroy()
	st.families, st.ids = slices.Clone(st.families), slices.Clone(st.ids)
	st.families[s], st.ids[s] = renewed.families[s], renewed.ids[s]
	return st
}

// badFiles looks into each file of the shards, and returns by shard why one of its files cannot be read. Only the
// beginning of a file and its index are read.
//
// It looks past deletions of ranges, as a snapshot's wipe makes them: an iterator of RocksDB 7.8 that heeds them loses
// the error of a file that cannot be opened and goes on in silence, or frees what it never made when it is closed. So
// whatever may meet such a file reads like this; the shards that badFiles names are read by nothing else. Error: of a
// disk that does not let it look.
func badFiles(st Store) (map[int]string, error) {
	bad, trouble := map[int]string{}, error(nil)
	files := st.db.GetLiveFilesMetaData()
	for s, family := range st.families {
		if family == nil {
			continue
		}
		it := st.db.NewIteratorCF(st.look, family)
		for _, f := range files {
			if f.ColumnFamilyName == familyName(s) {
				it.Seek(f.SmallestKey) // opens this file, whatever newer ones hold of the key
			}
			if err := it.Err(); isTrouble(err) {
				trouble = fmt.Errorf("%w: looking into the files of a shard: %w", ErrStore, err)
			} else if err != nil {
				bad[s] = err.Error()
				break
			}
		}
		it.Close()
	}
	return bad, trouble
}

// suspects returns marks, by shard, of the copies whose files a failed write, merge or start names.
func suspects(st Store, member uint64, cause error) map[int]shard.Mark {
	marks := map[int]shard.Mark{}
	if !isDamage(cause) || st.db == nil {
		return marks
	}
	for _, f := range st.db.GetLiveFilesMetaData() {
		s := 0
		n, _ := fmt.Sscanf(f.ColumnFamilyName, familyFormat, &s)
		if n == 1 && s < len(st.ids) && strings.Contains(cause.Error(), f.Name) {
			marks[s] = shard.Mark{Store: member, Copy: st.ids[s], Reason: cause.Error()}
		}
	}
	return marks
}

// startMerges lets RocksDB merge files from now on.
func startMerges(st Store) error {
	errs := []error{}
	for _, family := range append(slices.Clone(st.families), st.raft) {
		if family != nil {
			errs = append(errs, st.db.SetOptionsCF(family, []string{"disable_auto_compactions"}, []string{"false"}))
		}
	}
	return errors.Join(errs...)
}

// moveLog moves what the log holds of a shard into a file.
func moveLog(st Store, s int) error {
	if err := st.db.FlushCF(st.families[s], grocksdb.NewDefaultFlushOptions()); err != nil {
		return fmt.Errorf("%w: flushing a shard: %w", ErrStore, err)
	}
	return nil
}

// flush syncs the WAL; RocksDB's own close would not.
func flush(st Store) error { return st.db.FlushWAL(true) }

// writeBatch stores one serialized batch, synced.
func writeBatch(st Store, data []byte) error {
	batch := grocksdb.WriteBatchFrom(data)
	defer batch.Destroy()
	if err := st.db.Write(st.sync, batch); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// settleFacts moves what the default column family has in memory out of the write log, so that damage of the log does
// not touch it.
func settleFacts(st Store) error {
	if err := st.db.Flush(grocksdb.NewDefaultFlushOptions()); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// getFact reads a key of the default column family; nil where there is none.
func getFact(st Store, key string) ([]byte, error) {
	value, err := st.db.GetBytes(st.read, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", ErrStore, key, err)
	}
	return value, nil
}

// putFact writes a key of the default column family, synced.
func putFact(st Store, key string, value []byte) error {
	if err := st.db.Put(st.sync, []byte(key), value); err != nil {
		return fmt.Errorf("%w: writing %s: %w", ErrStore, key, err)
	}
	return nil
}

// dropFact deletes a key of the default column family for good: damage of the write log does not bring it back.
func dropFact(st Store, key string) error {
	value, err := st.db.GetBytes(st.read, []byte(key))
	if err != nil {
		return fmt.Errorf("%w: reading %s: %w", ErrStore, key, err)
	}
	if value == nil {
		return nil
	}
	if err = st.db.Delete(st.sync, []byte(key)); err != nil {
		return fmt.Errorf("%w: deleting %s: %w", ErrStore, key, err)
	}
	if err = st.db.Flush(grocksdb.NewDefaultFlushOptions()); err != nil {
		return fmt.Errorf("%w: deleting %s: %w", ErrStore, key, err)
	}
	return nil
}

// getUser returns a copy of one user's value in shard s, nil where there is none; key is as shard.AppendKey makes it.
func getUser(st Store, s int, key []byte) ([]byte, error) {
	value, err := st.db.GetCF(st.read, st.families[s], key)
	if err != nil {
		return nil, fmt.Errorf("%w: reading a user of shard %d: %w", ErrStore, s, err)
	}
	defer value.Free()
	if !value.Exists() {
		return nil, nil
	}
	return bytes.Clone(value.Data()), nil
}

// isDamage tells whether an error means that data on the disk fails its checksum, or that a file of it is missing.
func isDamage(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "Corruption: ") ||
		strings.Contains(err.Error(), "No such file or directory"))
}

// readFacts returns the council's saved state in the order of its keys; none if the node was never in a cluster.
func readFacts(st Store) ([]views.SavedEntry, error) {
	it := st.db.NewIteratorCF(st.look, st.raft)
	defer it.Close()
	facts := []views.SavedEntry{}
	for it.SeekToFirst(); it.Valid(); it.Next() {
		key, value := it.Key(), it.Value()
		facts = append(facts, views.SavedEntry{Key: string(key.Data()), Value: bytes.Clone(value.Data())})
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("%w: reading the council's state: %w", ErrStore, err)
	}
	return facts, nil
}
