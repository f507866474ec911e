package store

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

// DB is an open database: handles only, nothing in it changes.
type DB struct {
	folder   string
	rocks    *grocksdb.DB
	families []*grocksdb.ColumnFamilyHandle // by shard; nil where no replica is held
	ids      []uint32                       // of the column families, by shard
	raft     *grocksdb.ColumnFamilyHandle   // the view service's saved state
	raftID   uint32
	options  *grocksdb.Options
	read     *grocksdb.ReadOptions
	scan     *grocksdb.ReadOptions
	look     *grocksdb.ReadOptions // for iterators that may meet a file that cannot be opened
	write    *grocksdb.WriteOptions
}

// A memtable seldom becomes larger than this before all are flushed, so that the write log can be pruned.
const (
	memtableMB = 4
	memtables  = 16 // of a shard that may wait to be flushed
)

// memtableFilter is the share of a memtable that its Bloom filter takes.
const memtableFilter = 0.02

// hintBytes is how many bytes a key has before what follows the bucket. No range may be deleted that begins with those
// of a key (WipePart).
const hintBytes = 3

// databaseOptions returns the options of the database, and those of each column family, which are the same.
func databaseOptions(c Options) *grocksdb.Options {
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
	o.SetManifestPreallocationSize(64 << 10)  // the default reserves 4 MiB
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

// openOptions adds to o how the store is to be opened. Compactions are off while something is damaged: to compact a
// damaged file ends all writing.
func openOptions(o *grocksdb.Options, lenient, compactions bool) *grocksdb.Options {
	o.SetParanoidChecks(!lenient)
	o.SetDisableAutoCompactions(!compactions)
	// A key's place in a memtable is looked for from where the last key with the same beginning went, and not in all of
	// it: a bucket's record stands where it stood before, a user among those of the bucket. The binding has no function
	// for it.
	full, err := grocksdb.GetOptionsFromString(o,
		fmt.Sprintf("memtable_insert_with_hint_prefix_extractor=capped:%d", hintBytes))
	if err != nil {
		panic("RocksDB refuses a setting that it has: " + err.Error())
	}
	return full
}

// Options is what is told of a database: its folder, the number of the cluster's shards, and sizes in MiB.
type Options struct {
	Data    string
	Shards  int
	CacheMB uint64 // of the block cache
}

// Open opens the database in folder c.Data, or, with create, makes one where there is none. It has what was flushed
// before: Replay adds what the write log has beyond that. A lenient one passes over files that cannot be read; without
// compactions its files stay as they are. Error: ErrStore.
func Open(c Options, lenient, compactions, create bool) (DB, error) {
	base := databaseOptions(c)
	base.SetCreateIfMissing(create)
	o := openOptions(base, lenient, compactions)
	names, err := []string{"default"}, error(nil)
	if !create {
		names, err = grocksdb.ListColumnFamilies(o, c.Data)
	}
	if err != nil {
		return DB{}, fmt.Errorf("%w: opening %s: %w", ErrStore, c.Data, err)
	}
	families := slices.Repeat([]*grocksdb.Options{o}, len(names))
	db, handles, err := grocksdb.OpenDbColumnFamilies(o, c.Data, names, families)
	if err != nil {
		return DB{}, fmt.Errorf("%w: opening %s: %w", ErrStore, c.Data, err)
	}
	return dbOf(c, o, db, names, handles), nil
}

// dbOf makes a store of a database's handles, which are those of the column families with these names.
func dbOf(c Options, o *grocksdb.Options, db *grocksdb.DB, names []string,
	handles []*grocksdb.ColumnFamilyHandle) DB {
	st := DB{folder: c.Data, rocks: db, families: make([]*grocksdb.ColumnFamilyHandle, c.Shards),
		ids:     make([]uint32, c.Shards),
		options: o,
		read:    grocksdb.NewDefaultReadOptions(), scan: grocksdb.NewDefaultReadOptions(),
		look: grocksdb.NewDefaultReadOptions(), write: grocksdb.NewDefaultWriteOptions()}
	st.write.DisableWAL(true)                     // the write log is the node's own
	st.write.SetIgnoreMissingColumnFamilies(true) // it may speak of copies of shards that were dropped since
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

// BadFiles looks into each file of the shards, and returns by shard why one of its files cannot be read. Only the
// beginning of a file and its index are read.
//
// It looks past deletions of ranges, as a snapshot's wipe makes them: an iterator of RocksDB 7.8 that heeds them loses
// the error of a file that cannot be opened and goes on in silence, or frees what it never made when it is closed. So
// whatever may meet such a file reads like this; the shards that BadFiles names are read by nothing else. Error: of a
// disk that does not let it look.
func BadFiles(db DB) (map[int]string, error) {
	bad, trouble := map[int]string{}, error(nil)
	files := db.rocks.GetLiveFilesMetaData()
	for s, family := range db.families {
		if family == nil {
			continue
		}
		it := db.rocks.NewIteratorCF(db.look, family)
		for _, f := range files {
			if f.ColumnFamilyName == familyName(s) {
				it.Seek(f.SmallestKey) // opens this file, whatever newer ones hold of the key
			}
			if err := it.Err(); IsDiskError(err) {
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

// Suspects returns marks, by shard, of the copies whose files a failed write, compaction or start names.
func Suspects(db DB, member uint64, cause error) map[int]shard.Mark {
	marks := map[int]shard.Mark{}
	if !IsDamage(cause) || db.rocks == nil {
		return marks
	}
	for _, f := range db.rocks.GetLiveFilesMetaData() {
		s := 0
		n, _ := fmt.Sscanf(f.ColumnFamilyName, familyFormat, &s)
		if n == 1 && s < len(db.ids) && strings.Contains(cause.Error(), f.Name) {
			marks[s] = shard.Mark{Store: member, Copy: db.ids[s], Reason: cause.Error()}
		}
	}
	return marks
}

// StartCompactions lets RocksDB compact files from now on. Error: RocksDB's.
func StartCompactions(db DB) error {
	errs := []error{}
	for _, family := range append(slices.Clone(db.families), db.raft) {
		if family != nil {
			errs = append(errs, db.rocks.SetOptionsCF(family, []string{"disable_auto_compactions"}, []string{"false"}))
		}
	}
	return errors.Join(errs...)
}

// FlushShard moves what is in memory of a shard into a file. Error: ErrStore.
func FlushShard(db DB, s int) error {
	if err := db.rocks.FlushCF(db.families[s], grocksdb.NewDefaultFlushOptions()); err != nil {
		return fmt.Errorf("%w: flushing a shard: %w", ErrStore, err)
	}
	return nil
}

// familyAt returns the column family of a shard by its number, and behind the last shard that of Raft's saved state;
// nil where there is none.
func familyAt(db DB, i int) *grocksdb.ColumnFamilyHandle {
	if i == len(db.families) {
		return db.raft
	}
	return db.families[i]
}

// Flush has what is in memory of the shards, and of Raft, moved into files, and waits for it if so is said. Error:
// ErrStore.
func Flush(db DB, wait bool) error {
	o := grocksdb.NewDefaultFlushOptions()
	defer o.Destroy()
	o.SetWait(wait)
	for i := range len(db.families) + 1 {
		family := familyAt(db, i)
		if family == nil {
			continue
		}
		if err := db.rocks.FlushCF(family, o); err != nil {
			return fmt.Errorf("%w: flushing: %w", ErrStore, err)
		}
	}
	return nil
}

// Flushed tells whether all that was in memory when Flush was last called is in files: RocksDB drops a memtable
// that is written no more only when its file is in the manifest.
func Flushed(db DB) bool {
	for i := range len(db.families) + 1 {
		family := familyAt(db, i)
		if family == nil {
			continue
		}
		if n, known := db.rocks.GetIntPropertyCF("rocksdb.num-immutable-mem-table", family); n > 0 || !known {
			return false
		}
	}
	return true
}

// WriteBatch writes a serialized batch, as JoinParts makes it, to the tables: to memory, from where it comes into files
// later. The write log has it before. Error: ErrStore.
func WriteBatch(db DB, data []byte) error {
	batch := grocksdb.WriteBatchFrom(data)
	defer batch.Destroy()
	if err := db.rocks.Write(db.write, batch); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// GetLocal reads a store-local key, which is one of the default column family; nil where there is none. Error:
// ErrStore.
func GetLocal(db DB, key string) ([]byte, error) {
	value, err := db.rocks.GetBytes(db.read, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%w: reading the store-local key %s: %w", ErrStore, key, err)
	}
	return value, nil
}

// PutLocal writes a store-local key, synced: it is not in the write log, and so goes into a file at once. Error:
// ErrStore.
func PutLocal(db DB, key string, value []byte) error {
	err := db.rocks.Put(db.write, []byte(key), value)
	if err == nil {
		err = db.rocks.Flush(grocksdb.NewDefaultFlushOptions())
	}
	if err != nil {
		return fmt.Errorf("%w: writing the store-local key %s: %w", ErrStore, key, err)
	}
	return nil
}

// dropLocal deletes a store-local key, synced.
func dropLocal(db DB, key string) error {
	value, err := db.rocks.GetBytes(db.read, []byte(key))
	if err == nil && value == nil {
		return nil
	}
	if err == nil {
		err = db.rocks.Delete(db.write, []byte(key))
	}
	if err == nil {
		err = db.rocks.Flush(grocksdb.NewDefaultFlushOptions())
	}
	if err != nil {
		return fmt.Errorf("%w: deleting %s: %w", ErrStore, key, err)
	}
	return nil
}

// GetUser returns a copy of one user's value in shard s, nil where there is none; key is as shard.AppendKey makes it.
// Error: ErrStore.
func GetUser(db DB, s int, key []byte) ([]byte, error) {
	value, err := db.rocks.GetCF(db.read, db.families[s], key)
	if err != nil {
		return nil, fmt.Errorf("%w: reading a user of shard %d: %w", ErrStore, s, err)
	}
	defer value.Free()
	if !value.Exists() {
		return nil, nil
	}
	return bytes.Clone(value.Data()), nil
}

// IsDamage tells whether an error means that data on the disk fails its checksum, or that a file of it is missing.
func IsDamage(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "Corruption: ") ||
		strings.Contains(err.Error(), "No such file or directory"))
}

// ReadSaved returns the saved entries of the view service in the order of their keys; none if the node was never in a
// cluster. Error: ErrStore.
func ReadSaved(db DB) ([]views.SavedEntry, error) {
	it := db.rocks.NewIteratorCF(db.look, db.raft)
	defer it.Close()
	saved := []views.SavedEntry{}
	for it.SeekToFirst(); it.Valid(); it.Next() {
		key, value := it.Key(), it.Value()
		if string(key.Data()) == raftApplied {
			continue
		}
		saved = append(saved, views.SavedEntry{Key: string(key.Data()), Value: bytes.Clone(value.Data())})
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("%w: reading the view service's saved state: %w", ErrStore, err)
	}
	return saved, nil
}
